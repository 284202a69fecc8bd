//! Looking at sessions, on the node and over ssh.

use crate::world::{User, World};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn everyone_sees_their_own_and_auditors_see_all() {
    let world = World::new()
        .user(User::named("ben"))
        .user(User::named("eve").in_group("auditors"))
        .start();
    world.ssh("ana", &["db1", "echo of-ana"]).ok();
    world.ssh("ben", &["db1", "echo of-ben"]).ok();
    let sessions = world.ended_sessions(2);
    let of_ben = sessions
        .iter()
        .find(|session| session["identity"] == "ben")
        .unwrap();
    let of_ben = of_ben["id"].as_str().unwrap();

    let seen = |user: &str| {
        let run = world.ssh(user, &["bastion", "sessions", "--json"]).ok();
        let list: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
        let mut who: Vec<_> = list
            .iter()
            .map(|s| s["identity"].as_str().unwrap().to_owned())
            .collect();
        who.sort();
        who
    };
    assert_eq!(seen("ana"), ["ana"]);
    assert_eq!(seen("eve"), ["ana", "ben"]);

    let stolen = world.ssh("ana", &["bastion", "transcript", of_ben]);
    assert!([1, 3].contains(&stolen.code), "{stolen:?}");
    assert!(!stolen.out().contains("of-ben"));
    let own = world.ssh("ben", &["bastion", "transcript", of_ben]).ok();
    assert!(own.out().contains("of-ben"), "{own:?}");
    let audited = world.ssh("eve", &["bastion", "events", of_ben]).ok();
    assert_eq!(audited.out(), world.lines(of_ben), "byte for byte");
    let denied = world.ssh("eve", &["db1", "true"]);
    assert!(
        [254, 255].contains(&denied.code),
        "an auditor opens nothing: {denied:?}"
    );
}

#[test]
fn the_operator_sees_the_same_bytes() {
    let world = World::new().start();
    world
        .ssh("ana", &["-tt", "db1", "echo so: $((6 * 7))"])
        .ok();
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();
    assert_eq!(world.verb(&["events", "last"]).ok().out(), world.lines(id));
    assert!(
        world
            .verb(&["transcript", "last"])
            .ok()
            .out()
            .contains("so: 42")
    );
    assert!(world.verb(&["sessions"]).ok().out().contains("ana"));
    let shown = world.verb(&["sessions", "show", id]).ok().out();
    assert!(shown.contains("db1"), "{shown}");
    // What was run, how sure that is and how it ended, before the text.
    let ran = "(high, exit status 0)  echo so: $((6 * 7))";
    assert!(shown.contains(ran), "{shown}");
    assert_eq!(world.verb(&["sessions", "show", "nothing-like-it"]).code, 1);
}

#[test]
fn looking_is_an_event() {
    let mut world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    world.ended_sessions(1);
    world.ssh("ana", &["bastion", "transcript", "last"]).ok();
    world.stop_bastion();
    let events = world.node_events();
    let looked = events
        .iter()
        .any(|event| event["who"]["subject"] == "ana" && event.to_string().contains("transcript"));
    assert!(looked, "{events:?}");
}

#[test]
fn over_ssh_there_are_only_the_verbs_of_a_guest() {
    let world = World::new().start();
    let config = world.config_file();
    let config = config.to_str().unwrap();
    for words in [
        &["init", "/tmp/x"][..],
        &["serve"],
        &["demo"],
        &["doctor"],
        &["ca", "issue", "-"],
        &["index", "--rebuild"],
        &["--", "--config", config, "sessions"],
        &["sessions", "--config", config],
        &["no-such-verb"],
        &["sessions;", "id"],
        &["$(id)"],
    ] {
        let mut all = vec!["bastion"];
        all.extend(words);
        let run = world.ssh("ana", &all).refused(2, "ref: ");
        assert!(!run.out().contains("uid="), "{run:?}");
    }
    let run = world.ssh("ana", &["bastion", "no-such-verb"]);
    let run = run.refused(2, "`no-such-verb` is no verb here");
    for verb in [
        "sessions show",
        "events",
        "replay",
        "transcript",
        "why",
        "ssh-config",
    ] {
        assert!(run.stderr.contains(verb), "no `{verb}`: {}", run.stderr);
    }
    let help = world.ssh("ana", &["bastion", "help"]).ok();
    assert!(
        help.out().contains("transcript") && !help.stderr.contains("ref: "),
        "{help:?}"
    );
    let run = world
        .ssh("ana", &["bastion"])
        .refused(2, "needs a terminal");
    assert!(run.stderr.contains("sessions"), "{}", run.stderr);
}

#[test]
fn verbs_of_administrators_are_denied_to_others() {
    let world = World::new()
        .user(User::named("adm").in_group("admins"))
        .start();
    for words in [
        &["bastion", "policy", "check"][..],
        &["bastion", "target-setup"],
    ] {
        world.ssh("ana", words).refused(3, "not allowed");
        world.ssh("adm", words).ok();
        world.verb(&words[1..]).ok();
    }
}

#[test]
fn on_the_node_the_running_bastion_decides_and_records_and_without_one_the_verb_does() {
    let mut world = World::new().start();
    world.ssh("ana", &["db1", "echo inside"]).ok();
    world.ended_sessions(1);
    let socket = world.path("bastion/state/control.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.verb(&["transcript", "last"]).ok();

    // Its socket stays behind, and nobody listens to it.
    world.kill_bastion();
    assert!(socket.exists());
    assert!(
        world
            .verb(&["events", "last"])
            .ok()
            .out()
            .contains("inside")
    );
    assert!(!socket.exists() || world.verb(&["sessions"]).ok().out().contains("ana"));
    world.start_bastion();
    world.verb(&["sessions", "show", "last"]).ok();
    world.stop_bastion();

    let events = world.node_events();
    for verb in ["transcript", "events", "sessions"] {
        let by = events
            .iter()
            .find(|event| event["kind"] == "verb" && event["verb"] == verb);
        let name = by.unwrap_or_else(|| panic!("no `{verb}` in {events:?}"))["who"]["name"].clone();
        assert!(name.as_str().unwrap().starts_with("os:"), "{name}");
    }
}

#[test]
fn an_exit_code_says_what_the_words_say() {
    let world = World::new().start();
    for (words, code) in [
        (&["help"][..], 0),
        (&["why", "--reason", "so", "it", "is"], 0),
        (&["sessions", "--target", "no-such-target"], 1),
        (&["transcript", "last"], 1),
        (&["sessions", "--limit", "many"], 2),
        (&["sessions", "--since", "yesterday"], 2),
        (&["policy", "check"], 3),
    ] {
        let mut all = vec!["bastion"];
        all.extend(words);
        let run = world.ssh("ana", &all);
        assert_eq!(run.code, code, "{words:?}: {run:?}");
        // The sentence of who finds nothing needs no reference.
        let refused = run.stderr.contains("ref: ");
        assert!(code == 1 || refused == (code > 1), "{words:?}: {run:?}");
    }
}

#[test]
fn times_are_those_of_the_caller() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    world.ended_sessions(1);
    for (zone, offset) in [("Asia/Tokyo", "+09:00"), ("UTC", "+00:00")] {
        let set = format!("SetEnv=TZ={zone}");
        let run = world.ssh("ana", &["-o", &set, "bastion", "sessions"]).ok();
        assert!(run.out().contains(offset), "{zone}: {run:?}");
        assert!(!run.out().contains('\u{1b}'), "colours for a file: {run:?}");
    }
    let since = [
        "bastion",
        "sessions",
        "--json",
        "--since",
        "2020-01-01",
        "13:00",
        "--until",
        "2020-01-02",
    ];
    assert_eq!(world.ssh("ana", &since).out().trim(), "[]");
}

#[test]
fn completions_and_the_manual_are_printed() {
    let world = World::new().start();
    for shell in ["bash", "zsh", "fish"] {
        let run = world.verb(&["completions", shell]).ok();
        assert!(run.out().contains("transcript"), "{shell}: {run:?}");
    }
    let manual = world.verb(&["man"]).ok().out();
    assert!(
        manual.contains(".TH portcullis") && manual.contains("transcript"),
        "{manual}"
    );
}
