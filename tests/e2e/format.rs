//! What real sessions leave on the disk is what docs/schema says.

use crate::world::{User, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// The published schema, without its indulgence for fields it does not know.
fn schema() -> jsonschema::Validator {
    let path = format!("{}/docs/schema/v1.json", env!("CARGO_MANIFEST_DIR"));
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    schema["unevaluatedProperties"] = false.into();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_line_of_real_sessions_meets_the_published_schema() {
    let mut world = World::new()
        .user(User::named("eve").in_group("auditors"))
        .user(User::named("mal").valid("-2h:-1h"))
        .user(User::named("ben").without_reason())
        .start();
    let mut terminal = world.terminal("ana", &["-o", "SendEnv=LANG", "db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    terminal.resize(100, 40);
    terminal.type_in("exit\r").end();
    world.ssh_with("ana", &["db1", "cat; echo oops >&2; exit 3"], b"in\xff\n");
    world.ssh("ana", &["db1", "head -c 3000000 /dev/zero"]).ok();
    world
        .client("sftp", "ana", &["-b", "-", "db1"], b"pwd\n")
        .ok();
    world.ssh("mal", &["db1", "true"]);
    world.ssh("eve", &["db1", "true"]);
    world.ssh("ben", &["db1", "true"]);
    world.ssh("ana", &["db2", "true"]);
    world
        .ssh("ben", &["bastion", "why --reason disk full --ticket INC-7"])
        .ok();
    world.ended_sessions(4);
    world.ssh("eve", &["bastion", "transcript", "last"]).ok();
    world.ssh("eve", &["bastion", "sessions"]).ok();
    world.stop_bastion();

    let schema = schema();
    let mut kinds = BTreeSet::new();
    for (stream, text) in world.streams() {
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let faults: Vec<String> = schema
                .iter_errors(&line)
                .map(|fault| format!("{} at {}", fault, fault.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{faults:#?} in {line} of {stream}");
            kinds.insert(line["kind"].as_str().unwrap().to_owned());
        }
    }
    for kind in [
        "session.start",
        "session.end",
        "channel.open",
        "channel.close",
        "pty",
        "shell",
        "exec",
        "subsystem",
        "input",
        "output",
        "resize",
        "stream",
        "stream.progress",
        "target.auth",
        "access.deny",
        "auth.fail",
        "verb",
        "view",
        "why.set",
        "node.start",
        "node.stop",
    ] {
        assert!(kinds.contains(kind), "no `{kind}` among {kinds:?}");
    }
}

/// A validator that accepts everything would make the test above worthless.
#[test]
fn the_schema_refuses_what_is_not_so() {
    let schema = schema();
    let line = json!({
        "v": 1, "sid": "01935f3e-8a7b-7000-8000-0000000000a1", "seq": 0,
        "ts": "2026-11-24T00:00:00.000000000Z", "mt": 0, "kind": "resize", "cols": 80, "rows": 24,
    });
    assert!(schema.is_valid(&line));
    for (field, value) in [
        ("v", json!(2)),
        ("seq", json!(-1)),
        ("cols", json!("80")),
        ("outcome", json!("success")),
        ("surprise", json!(1)),
    ] {
        let mut wrong = line.clone();
        wrong[field] = value;
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
    let mut short = line;
    short.as_object_mut().unwrap().remove("rows");
    assert!(!schema.is_valid(&short), "{short}");
}

#[test]
fn what_is_typed_without_being_shown_is_nowhere() {
    let mut world = World::new().start();
    let mut terminal = world.terminal("ana", &["db1"]);
    // The shell makes the prompt, so that seeing it is not seeing the echo of the command.
    terminal.type_in("read -s -p \"pw$((6*7)): \" x; echo len-${#x}\r");
    terminal.see("pw42: ");
    terminal.type_in("hunter2-secret\r").see("len-14");
    terminal.type_in("exit\r").end();
    world.only_session();
    world.stop_bastion();
    for text in world.streams().values() {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(!world.log().contains("hunter2"));
}
