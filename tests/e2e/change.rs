//! Rights while things change under them: broken files, targets that go, a bastion that stops.

use crate::terminal::Terminal;
use crate::wait;
use crate::world::{User, World, event, parse};
use rustix::process::{Pid, Signal, kill_process};

/// Typed so that the echo of what was typed is not what is waited for.
fn shell(world: &World, user: &str) -> Terminal {
    let mut terminal = world.terminal(user, &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    terminal
}

fn revoke(world: &World, user: &str) {
    let words = ["ca", "revoke", "--key-id", user, "--reason", "lost laptop"];
    world.verb(&words).ok();
}

fn tell_to_stop(world: &World) {
    let pid = i32::try_from(world.bastion_pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

/// How the only session ended, as its recording says.
fn end_of(world: &World) -> String {
    let streams = world.streams();
    let session = streams
        .values()
        .find(|text| text.contains("\"session.start\""));
    let events = parse(session.unwrap());
    event(&events, "session.end")["reason"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn who_is_revoked_is_revoked_whatever_else_is_broken() {
    let world = World::new().user(User::named("ben")).start();
    let mut terminal = shell(&world, "ben");
    std::fs::write(world.path("bastion/keys/user_ca.pub"), "not a key\n").unwrap();
    wait::until("the alert", || {
        world
            .log()
            .contains("what was in force stays in force")
            .then_some(())
    });
    revoke(&world, "ben");
    terminal.see("portcullis: ");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_eq!(world.only_session()["end_reason"], "revoked");
    // The others go on under what was in force.
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_target_that_is_gone_is_gone_for_old_connections_too() {
    let world = World::new().start();
    let socket = world.path("mux");
    let socket = socket.to_str().unwrap();
    // A jump, and no session yet.
    let mut master = world.terminal("ana", &["-M", "-S", socket, "-N", "db1"]);
    wait::until("the connection", || {
        let check = world.ssh("ana", &["-S", socket, "-O", "check", "db1"]);
        (check.code == 0).then_some(())
    });
    let file = world.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    config.remove("target");
    std::fs::write(&file, config.to_string()).unwrap();
    wait::until("the new configuration", || {
        (world.ssh("ana", &["-S", "none", "db1", "true"]).code != 0).then_some(())
    });
    let run = world.ssh("ana", &["-S", socket, "db1", "echo in"]);
    assert!(!run.out().contains("in"), "{run:?}");
    assert_eq!(run.code, 254, "{run:?}");
    world.ssh("ana", &["-S", socket, "-O", "exit", "db1"]);
    master.end();
}

#[test]
fn rights_hold_while_the_bastion_stops() {
    let mut world = World::new()
        .user(User::named("ben"))
        .set("session.drain", "60s")
        .start();
    let mut terminal = shell(&world, "ben");
    tell_to_stop(&world);
    terminal.see("this bastion stops in 60 s");
    revoke(&world, "ben");
    terminal.see("portcullis: ");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    world.stop_bastion();
    assert_eq!(end_of(&world), "revoked");
}

#[test]
fn told_twice_it_stops_at_once_and_every_session_has_its_end() {
    let mut world = World::new().set("session.drain", "60s").start();
    let mut terminal = shell(&world, "ana");
    tell_to_stop(&world);
    terminal.see("this bastion stops in 60 s");
    // The second signal.
    world.stop_bastion();
    terminal.see("this bastion stops");
    terminal.end();
    assert_eq!(end_of(&world), "shutdown");
}
