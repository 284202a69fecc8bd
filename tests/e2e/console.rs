//! `ssh bastion` with a terminal.

use crate::world::{REASON, User, World, event};

#[test]
fn the_console_survives_a_tiny_terminal() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["bastion"]);
    terminal
        .resize(20, 5)
        .see("db1")
        .resize(200, 50)
        .resize(1, 1)
        .resize(80, 24);
    terminal.type_in("\u{3}");
    terminal.end();
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

#[test]
fn the_console_lists_and_connects() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["bastion"]);
    // Typed in one breath: what stands behind Enter is for the target's shell.
    terminal
        .see("db1")
        .type_in("1\recho \"so: $((6 * 7))\"\r")
        .see("so: 42");
    terminal.type_in("exit 4\r");
    assert_eq!(terminal.end().code(), Some(4), "{}", terminal.screen);
    let session = world.only_session();
    assert_eq!(session["door"], "console");
    assert_eq!(session["justification"], REASON);
}

#[test]
fn type_to_filter_and_be_asked_why() {
    let web = "name = \"web1\"\naddress = \"127.0.0.1:1\"\nlogins = [\"LOGIN\"]\n\
               host = { ca = \"../hosts_ca.pub\" }\n";
    let base = World::new().user(User::named("ben").without_reason());
    let login = crate::world::login_name();
    let world = base.target(&web.replace("LOGIN", &login)).start();
    let mut terminal = world.terminal("ben", &["bastion"]);
    terminal.see("1  ").see("web1").see("2 of 2");
    // Only what changed is drawn: the number, dim.
    terminal.type_in("nothing-like-it").see("[2m0");
    terminal.type_in("\r").type_in("\u{15}").see("[2m2");
    terminal.type_in("db").see("[2m1");
    terminal
        .type_in("\r")
        .see("reason")
        .type_in("look at the logs\r");
    terminal
        .see("ticket")
        .type_in("\recho \"so: $((6 * 7))\"\r")
        .see("so: 42");
    terminal.type_in("exit\r");
    assert!(terminal.end().success(), "{}", terminal.screen);
    let session = world.only_session();
    assert_eq!(session["target"], "db1");
    let events = world.events(session["id"].as_str().unwrap());
    assert_eq!(event(&events, "session.start")["why"]["source"], "prompt");
}

#[test]
fn a_reason_that_the_client_sends_is_taken() {
    let world = World::new()
        .user(User::named("ben").without_reason())
        .start();
    let set = "SetEnv=PORTCULLIS_REASON=\"a full disk\"";
    let mut terminal = world.terminal("ben", &["-o", set, "bastion"]);
    terminal.see("db1").type_in("\rexit\r");
    assert!(terminal.end().success(), "{}", terminal.screen);
    assert_eq!(world.only_session()["justification"], "a full disk");
}

#[test]
fn there_are_three_ways_out_and_each_gives_the_terminal_back() {
    let world = World::new().start();
    for way in ["\u{3}", "\u{4}", "q"] {
        let mut terminal = world.terminal("ana", &["bastion"]);
        terminal.see("db1").type_in(way);
        assert!(terminal.end().success(), "{way:?}: {}", terminal.screen);
        let left = terminal.screen.rfind("\u{1b}[?1049l").unwrap();
        assert!(
            left > terminal.screen.rfind("db1").unwrap(),
            "{:?}",
            terminal.screen
        );
    }
    assert!(world.sessions().is_empty());
}

#[test]
fn who_may_go_nowhere_is_told_so() {
    let world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .start();
    let mut terminal = world.terminal("eve", &["bastion"]);
    terminal.see("portcullis: there is no target").see("ref: ");
    assert_eq!(terminal.end().code(), Some(1));
}

#[test]
fn what_is_not_echoed_is_not_shown_and_not_kept() {
    let world = World::new().start();
    let mut terminal = world.terminal("ana", &["bastion"]);
    terminal
        .see("db1")
        .type_in("1\rstty -echo; echo \"so: $((6 * 7))\"\r")
        .see("so: 42");
    terminal.type_in("echo \"ready: $((6 * 8))\"; read -r secret; echo \"then: $((6 * 9))\"\r");
    terminal
        .see("ready: 48")
        .type_in("hunter2-hunter2\r")
        .see("then: 54");
    terminal.type_in("exit\r");
    terminal.end();
    assert!(!terminal.screen.contains("hunter2"), "{}", terminal.screen);
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();
    assert!(
        !world.lines(id).contains("hunter2"),
        "the secret is in the recording"
    );
    assert!(
        !world.log().contains("hunter2"),
        "the secret is in the trace"
    );
}
