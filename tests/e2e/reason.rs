//! No session without a reason.

use crate::world::{REASON, TICKET, User, World, event};
use std::fs;

fn world() -> World {
    World::new()
        .user(User::named("ben").without_reason())
        .start()
}

#[test]
fn without_a_reason_and_without_a_terminal_there_is_no_session() {
    let world = world();
    let run = world
        .ssh("ben", &["db1", "true"])
        .refused(254, "PORTCULLIS_REASON");
    assert!(run.stderr.contains("ref: "), "{}", run.stderr);
    assert!(
        !world.target_log().contains("Accepted"),
        "it was dialled: {}",
        world.target_log()
    );
}

#[test]
fn the_environment_gives_a_reason() {
    let world = world();
    let set = "SetEnv=PORTCULLIS_REASON=\"a full disk\" PORTCULLIS_TICKET=CHG-7";
    world.ssh("ben", &["-o", set, "db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], "a full disk");
    assert_eq!(session["ticket"], "CHG-7");
    let events = world.events(session["id"].as_str().unwrap());
    assert_eq!(event(&events, "session.start")["why"]["source"], "env");
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let world = world();
    let mut terminal = world.terminal("ben", &["db1"]);
    terminal
        .see("eason")
        .type_in("\r")
        .see("eason")
        .type_in("look at the logs\r");
    terminal
        .type_in("\r")
        .type_in("echo \"so: $((6 * 7))\"\r")
        .see("so: 42")
        .type_in("exit\r");
    terminal.end();
    let session = world.only_session();
    assert_eq!(session["justification"], "look at the logs");
    let events = world.events(session["id"].as_str().unwrap());
    assert_eq!(event(&events, "session.start")["why"]["source"], "prompt");
}

#[test]
fn the_verb_why_holds_for_the_certificate() {
    let world = world();
    world
        .ssh(
            "ben",
            &[
                "bastion", "why", "--ticket", "CHG-8", "--for", "1h", "--reason", "a", "full",
                "disk",
            ],
        )
        .ok();
    world.ssh("ben", &["db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], "a full disk");
    assert_eq!(session["ticket"], "CHG-8");
}

#[test]
fn the_certificate_comes_first() {
    let world = world();
    world
        .ssh(
            "ana",
            &["-o", "SetEnv=PORTCULLIS_REASON=other", "db1", "true"],
        )
        .ok();
    let session = world.only_session();
    assert_eq!(session["justification"], REASON);
    assert_eq!(session["ticket"], TICKET);
}

#[test]
fn the_line_that_a_refusal_prints_is_the_line_to_add() {
    let world = world();
    let run = world
        .ssh("ben", &["db1", "true"])
        .refused(254, "a reason is required");
    let mut lines = run.stderr.lines().map(str::trim);
    let line = lines.find(|line| line.starts_with("SetEnv ")).unwrap();
    let file = world.path("ben/config");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{config}\n{line}\n")).unwrap();
    world.ssh("ben", &["db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], "why");
    assert_eq!(session["ticket"], "INC-42");
}

#[test]
fn the_first_that_is_found_counts() {
    let world = world();
    let set = "SetEnv=PORTCULLIS_REASON=\"from env\" PORTCULLIS_TICKET=ENV-1";
    world
        .ssh(
            "ben",
            &[
                "-o", set, "bastion", "why", "--reason", "from", "the", "verb",
            ],
        )
        .ok();
    world.ssh("ben", &["-o", set, "db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], "from the verb");
    let events = world.events(session["id"].as_str().unwrap());
    assert_eq!(event(&events, "session.start")["why"]["source"], "verb");
    assert_eq!(
        session["ticket"], "ENV-1",
        "a ticket from behind is better than none"
    );
}

#[test]
fn what_is_no_reason_and_no_ticket_is_said() {
    let world = world();
    let long = "x".repeat(1100);
    for (reason, ticket, says) in [
        (long.as_str(), "T-1", "longer than 1024"),
        ("\u{1b}[31mred", "T-1", "control character"),
        ("good", "no;ticket", "no ticket"),
    ] {
        let set = format!("SetEnv=PORTCULLIS_REASON=\"{reason}\" PORTCULLIS_TICKET={ticket}");
        let run = world
            .ssh("ben", &["-o", &set, "db1", "true"])
            .refused(254, says);
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
        let words = ["bastion", "why", "--ticket", ticket, "--reason", reason];
        world.ssh("ben", &words).refused(2, says);
    }
    world
        .ssh("ben", &["bastion", "why", "--for", "1h"])
        .refused(2, "--reason");
    world
        .ssh(
            "ben",
            &["bastion", "why", "--for", "99999999999y", "--reason", "x"],
        )
        .ok();
    assert!(world.target_log().is_empty() || !world.target_log().contains("Accepted"));
}

#[test]
fn what_a_ca_is_not_believed_for_is_claimed_and_counts_for_nothing() {
    let claims = [
        "-O",
        "extension:grant@portcullis=G-1",
        "-O",
        "extension:groups@portcullis=auditors",
    ];
    let authorities = "ca = [\
        { file = \"keys/user_ca.pub\", identities = \"*\" }, \
        { file = \"../foreign_ca.pub\", identities = \"*\" }]";
    let authorities: toml::Table = authorities.parse().unwrap();
    let world = World::new()
        .set("identity.ca", authorities["ca"].clone())
        .user(User::named("far").of_foreign_ca().words(&claims))
        .user(
            User::named("mute")
                .of_foreign_ca()
                .without_reason()
                .words(&claims),
        )
        .start();
    world.ssh("far", &["db1", "true"]).ok();
    let session = world.only_session();
    assert_eq!(session["justification"], REASON, "any CA may say why");
    let events = world.events(session["id"].as_str().unwrap());
    let why = &event(&events, "session.start")["why"];
    assert!(
        why.get("grant").is_none_or(serde_json::Value::is_null),
        "{why}"
    );
    assert!(why["claimed"].to_string().contains("G-1"), "{why}");
    world
        .ssh("mute", &["db1", "true"])
        .refused(254, "a reason is required");
    let list = world.ssh("mute", &["bastion", "sessions", "--json"]);
    assert_eq!(list.out().trim(), "[]", "a claimed group opens nothing");
}

#[test]
fn policy_can_demand_where_a_reason_comes_from() {
    let world = World::new()
        .user(User::named("ben").without_reason())
        .policy(
            "forbid (principal, action, resource is Account)\n\
             when { context has whySource && context.whySource == \"env\" };",
        )
        .start();
    let set = "SetEnv=PORTCULLIS_REASON=because";
    world
        .ssh("ben", &["-o", set, "db1", "true"])
        .refused(254, "");
    world
        .ssh("ben", &["bastion", "why", "--reason", "because"])
        .ok();
    world.ssh("ben", &["-o", set, "db1", "true"]).ok();
}
