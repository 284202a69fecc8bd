//! Rights end while they are used.

use crate::wait;
use crate::world::{User, World, changes, event};
use serde_json::Value;

#[test]
fn an_expired_certificate_ends_its_session() {
    let world = World::new().user(User::named("ben")).start();
    world.certify(&User::named("ben").valid("-1m:+10s"));
    let mut terminal = world.terminal("ben", &["db1"]);
    terminal
        .type_in("echo \"so: $((6 * 7))\"\r")
        .see("so: 42")
        .see("portcullis: ");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_eq!(world.only_session()["end_reason"], "expired");
}

#[test]
fn a_revoked_certificate_ends_its_session_and_opens_no_other() {
    let world = World::new().user(User::named("ben")).start();
    let mut terminal = world.terminal("ben", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    world
        .verb(&["ca", "revoke", "--key-id", "ben", "--reason", "lost laptop"])
        .ok();
    terminal.see("portcullis: ");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_eq!(world.only_session()["end_reason"], "revoked");
    assert_eq!(world.ssh("ben", &["db1", "true"]).code, 255);
    world.ssh("ana", &["db1", "true"]).ok();
}

#[test]
fn a_client_that_vanishes_leaves_nothing_behind() {
    let world = World::new().start();
    {
        let mut terminal = world.terminal("ana", &["db1"]);
        terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    }
    world.only_session();
    let sockets = || {
        let dir = format!("/proc/{}/fd", world.bastion_pid());
        let links = std::fs::read_dir(dir).unwrap().flatten();
        links
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    // A fresh bastion listens on its port and its control socket; a runtime may hold a pair or two.
    wait::until("closed sockets", || (sockets() <= 6).then_some(()));
}

#[test]
fn a_shutdown_says_so_and_seals_what_ran() {
    let mut world = World::new().set("session.drain", "1s").start();
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    world.stop_bastion();
    terminal.end();
    assert!(
        terminal.screen.contains("portcullis: "),
        "{}",
        terminal.screen
    );
    let ended = world
        .streams()
        .into_values()
        .find(|text| text.contains("\"session.start\""));
    let events = crate::world::parse(&ended.unwrap());
    assert_eq!(event(&events, "session.end")["reason"], "shutdown");
}

/// Typed so that the echo of what was typed is not what is waited for.
fn shell(world: &World, user: &str) -> crate::terminal::Terminal {
    let mut terminal = world.terminal(user, &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    terminal
}

fn alerts<'a>(events: &'a [Value], code: &str) -> Vec<&'a Value> {
    let found = events.iter().filter(|event| event["kind"] == "alert");
    found
        .filter(|event| event["note"]["code"] == code)
        .collect()
}

#[test]
fn the_end_is_announced_once_and_not_over_a_full_screen() {
    let world = World::new()
        .user(User::named("five"))
        .user(User::named("one"))
        .start();
    world.certify(&User::named("five").valid("-1m:+303s"));
    let mut five = shell(&world, "five");
    five.see("portcullis: your certificate ends in less than 5 minutes");

    world.certify(&User::named("one").valid("-1m:+66s"));
    let mut one = world.terminal("one", &["db1"]);
    // As vi and less switch, with the program's own text after more than the warning's second.
    one.type_in(
        "printf '\\033[?1049h'; sleep 9; printf 'full\\040screen\\033[?1049lback\\040again'\r",
    );
    one.see("full screen");
    one.see("back again")
        .see("portcullis: your certificate ends in less than 1 minute");
    one.type_in("exit\r").end();
    assert_eq!(one.screen.matches("less than").count(), 1, "{}", one.screen);
    let warned = one.screen.find("less than");
    assert!(one.screen.find("\u{1b}[?1049l") < warned, "{}", one.screen);
    five.type_in("exit\r").end();
    assert_eq!(
        five.screen.matches("less than").count(),
        1,
        "{}",
        five.screen
    );
}

#[test]
fn a_newer_certificate_of_the_same_key_carries_sessions_on() {
    let mut world = World::new()
        .user(User::named("ben").valid("-1m:+12s"))
        .start();
    let mut terminal = shell(&world, "ben");
    terminal.see("less than 1 minute");
    // One that takes the terminal away carries nothing on; the next one does.
    let no_pty = User::named("ben").words(&["-O", "no-pty"]);
    world.certify(&no_pty);
    world.ssh("ben", &["bastion", "sessions"]);
    world.certify(&User::named("ben"));
    world.ssh("ben", &["bastion", "sessions"]);
    let id = wait::until("the session", || {
        let sessions = world.sessions();
        let session = sessions.iter().find(|session| session["active"] == true)?;
        Some(session["id"].as_str().unwrap().to_owned())
    });
    // Thirteen seconds later the first certificate is of the past.
    terminal
        .type_in("sleep 13; echo \"still: $((6 * 9))\"\r")
        .see("still: 54");
    terminal.type_in("exit\r");
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.screen);
    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.events(&id);
    let renewals = events
        .iter()
        .filter(|event| event["kind"] == "session.renew");
    assert_eq!(renewals.count(), 1, "{events:?}");
    assert_eq!(event(&events, "session.end")["reason"], "target_exit");
}

#[test]
fn an_old_connection_opens_nothing_under_a_revoked_certificate() {
    let world = World::new().user(User::named("ben")).start();
    let socket = world.text_path("master");
    let name = format!("{}@db1", world.login);
    let master = ["-M", "-S", &socket, "-f", "-N", "-l", &name, "bastion"];
    world.ssh("ben", &master).ok();
    world
        .verb(&["ca", "revoke", "--key-id", "ben", "--reason", "lost laptop"])
        .ok();
    // In force within a second: until then the right is still a right.
    let run = wait::until("the revocation", || {
        let run = world.ssh("ben", &["-S", &socket, "-l", &name, "bastion", "echo in"]);
        (run.code != 0).then_some(run)
    });
    assert!(!run.out().contains("in"), "{run:?}");
    // The idle connection is closed, so that nothing waits for a mistake.
    wait::until("the end of the connection", || {
        let check = world.ssh("ben", &["-S", &socket, "-O", "check", "bastion"]);
        (check.code != 0).then_some(())
    });
}

#[test]
fn a_user_ca_that_is_no_longer_named_ends_its_sessions() {
    let mut world = World::new().start();
    let mut terminal = shell(&world, "ana");
    let key = std::fs::read_to_string(world.path("foreign_ca.pub")).unwrap();
    std::fs::write(world.path("bastion/keys/user_ca.pub"), key).unwrap();
    terminal.see("portcullis: ");
    assert_eq!(terminal.end().code(), Some(254), "{}", terminal.screen);
    assert_eq!(world.only_session()["end_reason"], "revoked");
    assert_eq!(world.ssh("ana", &["db1", "true"]).code, 255);
    world.stop_bastion();
    let events = world.node_events();
    let changes = changes(&events, "config.change");
    let change = changes[0]["difference"].to_string();
    assert!(change.contains("is not trusted any more"), "{change}");
}

#[test]
fn revocations_only_go_forward() {
    let mut world = World::new().user(User::named("ben")).start();
    let krl = world.path("bastion/keys/revoked.krl");
    let first = std::fs::read(&krl).unwrap();
    world
        .verb(&["ca", "revoke", "--key-id", "ben", "--reason", "left"])
        .ok();
    wait::until("the revocation", || {
        (world.ssh("ben", &["bastion", "sessions"]).code == 255).then_some(())
    });
    // Yesterday's list: by copy and by rename, as a backup and a deployment put it there.
    let beside = world.path("bastion/keys/beside");
    std::fs::write(&beside, &first).unwrap();
    std::fs::rename(&beside, &krl).unwrap();
    wait::until("the alert", || {
        world.log().contains("older than").then_some(())
    });
    assert_eq!(world.ssh("ben", &["db1", "true"]).code, 255);
    world.ssh("ana", &["db1", "true"]).ok();
    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.node_events();
    let alerts = alerts(&events, "trust_not_loaded");
    assert_eq!(alerts.len(), 1, "{events:?}");
    assert!(
        alerts[0]["note"]["message"]
            .to_string()
            .contains("older than")
    );
    let loads = events.iter().filter(|event| event["kind"] == "krl.load");
    let numbers: Vec<_> = loads
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2], "each list that came into force, once");
}

#[test]
fn revocations_that_cannot_be_read_stay_then_close_the_door() {
    let mut world = World::new().set("identity.revoked_grace", "3s").start();
    let krl = world.path("bastion/keys/revoked.krl");
    let good = std::fs::read(&krl).unwrap();
    let mut terminal = shell(&world, "ana");
    std::fs::write(&krl, &good[..20]).unwrap();
    wait::until("the alert", || {
        world.log().contains("stays in force").then_some(())
    });
    // In force from then on; a login that began before may end either way.
    wait::until("the closed door", || {
        world.log().contains("nobody new comes in").then_some(())
    });
    world
        .ssh("ana", &["bastion", "sessions"])
        .refused(255, "no new logins now");
    // Who is in stays in.
    terminal
        .type_in("echo \"still: $((6 * 9))\"\r")
        .see("still: 54");
    terminal.type_in("exit\r").end();
    std::fs::write(&krl, &good).unwrap();
    wait::until("the open door", || {
        (world.ssh("ana", &["bastion", "sessions"]).code != 255).then_some(())
    });
    world.ended_sessions(1);
    world.stop_bastion();
    let events = world.node_events();
    assert_eq!(alerts(&events, "trust_not_loaded").len(), 1, "{events:?}");
    assert_eq!(alerts(&events, "logins_closed").len(), 1, "{events:?}");

    // At start there is nothing older to go on with.
    for broken in [&good[..20], b"", b"nonsense"] {
        std::fs::write(&krl, broken).unwrap();
        let run = world.verb(&["serve"]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("revoked.krl"), "{run:?}");
    }
    std::fs::remove_file(&krl).unwrap();
    let run = world.verb(&["serve"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("revoked.krl"), "{run:?}");
}
