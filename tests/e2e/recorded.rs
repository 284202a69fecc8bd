//! What lies on the disk afterwards.

use crate::world::{REASON, TICKET, World, event};
use serde_json::Value;

const FRAMES: [&str; 6] = ["input", "output", "resize", "keyframe", "commit", "notice"];

#[test]
fn each_line_of_a_session_says_who_where_and_why() {
    let world = World::new().start();
    world.ssh_with("ana", &["db1", "cat; exit 3"], b"in\n");
    let session = world.only_session();
    let id = session["id"].as_str().unwrap();
    let events = world.events(id);

    assert_eq!(events[0]["kind"], "session.start");
    assert_eq!(events.last().unwrap()["kind"], "session.end");
    let mut before = -1.0;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["v"], 1, "{event}");
        assert_eq!(event["sid"], id, "{event}");
        assert_eq!(event["seq"], number, "{event}");
        let now = event["mt"].as_f64().unwrap();
        assert!(now >= before, "time goes back: {event}");
        before = now;
        if FRAMES.contains(&event["kind"].as_str().unwrap()) {
            continue;
        }
        assert_eq!(event["who"]["subject"], "ana", "{event}");
        assert_eq!(event["who"]["source"]["ip"], "127.0.0.1", "{event}");
        assert_eq!(event["where"]["target"], "db1", "{event}");
        assert_eq!(event["where"]["login"], world.login.as_str(), "{event}");
        assert_eq!(event["why"]["justification"], REASON, "{event}");
        assert_eq!(event["why"]["ticket"], TICKET, "{event}");
        assert!(event["outcome"].is_string(), "{event}");
    }
    let start = event(&events, "session.start").to_string();
    assert!(start.contains("OpenSSH"), "no client version: {start}");
    assert_eq!(event(&events, "exec")["command"]["data"], "cat; exit 3");
    assert_eq!(concatenated(&events, "output"), "in\n");
    assert_eq!(concatenated(&events, "input"), "in\n");
}

fn concatenated(events: &[Value], kind: &str) -> String {
    let frames = events.iter().filter(|event| event["kind"] == kind);
    frames.filter_map(|frame| frame["data"].as_str()).collect()
}

#[test]
fn every_byte_of_output_is_there_whatever_it_is() {
    let world = World::new().start();
    let command =
        "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done";
    let run = world.ssh("ana", &["db1", command]).ok();
    assert_eq!(run.stdout.len(), 256);
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    let frames = events.iter().filter(|event| event["kind"] == "output");
    let counted: u64 = frames.map(|frame| frame["n"].as_u64().unwrap()).sum();
    assert_eq!(counted, 256);
    assert_eq!(session["output_bytes"], 256);
    let lines = world.lines(session["id"].as_str().unwrap());
    assert!(
        !lines
            .bytes()
            .any(|byte| byte < 0x20 && byte != b'\n' || byte == 0x7f)
    );
}

#[test]
fn past_the_limit_content_is_counted_and_hashed() {
    let world = World::new().start();
    let run = world.ssh("ana", &["db1", "head -c 5000000 /dev/zero"]).ok();
    assert_eq!(run.stdout.len(), 5_000_000);
    let session = world.only_session();
    let events = world.events(session["id"].as_str().unwrap());
    // sha256 of five million zero bytes, as `sha256sum` says.
    let sum = ring::digest::digest(&ring::digest::SHA256, &run.stdout);
    let sum: String = sum
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let streams: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "stream")
        .collect();
    assert!(
        streams.iter().any(|event| event.to_string().contains(&sum)),
        "{streams:?}"
    );
}

#[test]
fn the_target_logs_the_person_the_session_and_the_ticket() {
    let world = World::new().start();
    world.ssh("ana", &["db1", "true"]).ok();
    let session = world.only_session();
    let key_id = format!(
        "portcullis:ana:{}:{TICKET}",
        session["id"].as_str().unwrap()
    );
    assert!(
        world.target_log().contains(&key_id),
        "{}",
        world.target_log()
    );
}

#[test]
fn after_a_crash_what_was_seen_is_recorded() {
    let mut world = World::new().start();
    let mut terminal = world.terminal("ana", &["db1"]);
    terminal.type_in("echo \"so: $((6 * 7))\"\r").see("so: 42");
    world.kill_bastion();
    terminal.end();
    world.start_bastion();
    let session = world.only_session();
    assert_eq!(session["end_reason"], "node_crash", "{session}");
    let events = world.events(session["id"].as_str().unwrap());
    assert!(concatenated(&events, "output").contains("so: 42"));
}
