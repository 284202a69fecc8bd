//! strace is the fault injector: the journal's own calls fail, are slow, or are the last that the
//! bastion makes.

use crate::compare::{Recorded, find};
use crate::traffic::Client;
use crate::wait;
use crate::world::World;
use serde_json::Value;
use std::process::Command;

/// The bastion under strace, which does `inject` to the calls on `path` alone.
fn start(world: &mut World, path: Option<&str>, calls: &str, inject: &str) {
    let strace = Command::new("strace").arg("-V").output();
    assert!(strace.is_ok(), "no strace: apt-get install strace");
    let calls = format!("trace={calls}");
    let inject = format!("inject={inject}");
    let path = path.map(|path| world.path("bastion/state").join(path));
    let mut words = vec![
        "strace",
        "-D",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-o",
        "/dev/null",
    ];
    words.extend(["-e", &calls, "-e", &inject]);
    if let Some(path) = &path {
        words.extend(["-P", path.to_str().unwrap()]);
    }
    world.start_bastion_under(&words);
}

const FIRST: &str = "journal/0000000000.journal";

fn has_ended(world: &mut World) -> bool {
    world
        .bastion
        .as_mut()
        .unwrap()
        .try_wait()
        .unwrap()
        .is_some()
}

fn alerts(world: &World) -> Vec<String> {
    let events = world.node_events();
    let alerts = events.iter().filter(|event| event["kind"] == "alert");
    let code = |alert: &Value| alert["note"]["code"].as_str().unwrap().to_owned();
    alerts.map(code).collect()
}

fn check(world: &World, marker: &str, seen: &[u8]) -> Recorded {
    let recorded = find(&world.streams(), marker).expect("the session is not recorded");
    assert_eq!(
        recorded.misses(seen, b""),
        None,
        "{marker}\n{}",
        world.log()
    );
    recorded
}

/// The segment is given up, and everything goes on in another one; also over a kill.
#[test]
fn a_write_or_a_sync_that_fails_costs_nothing() {
    for (call, error, when) in [
        ("pwrite64", "ENOSPC", 12),
        ("pwrite64", "EIO", 25),
        ("fdatasync", "EIO", 2),
    ] {
        let mut world = World::new().build();
        let inject = format!("{call}:error={error}:when={when}+");
        start(&mut world, Some(FIRST), call, &inject);
        let client = Client::run(&world, "whole-", "seq 1 20000");
        let (seen, _) = client.end();
        assert!(seen.ends_with(b"\n20000\n"), "{call}: {}", world.log());
        let client = Client::terminal(&world, "killed-");
        assert!(client.wait_for(20_000), "{call}: {}", world.log());
        wait::until("the alert", || {
            world.log().contains("journal_segment").then_some(())
        });
        world.kill_bastion();
        let (killed, _) = client.end();
        world.start_bastion();
        world.stop_bastion();
        let whole = check(&world, "whole-", &seen);
        assert_eq!((whole.end.as_deref(), whole.gaps), (Some("target_exit"), 0));
        let killed = check(&world, "killed-", &killed);
        assert_eq!(
            (killed.end.as_deref(), killed.gaps),
            (Some("node_crash"), 0)
        );
        let alerts = alerts(&world);
        assert!(
            alerts.contains(&"journal_segment".to_owned()),
            "{call}: {alerts:?}"
        );
    }
}

/// Killed by the very call: before a segment, a chunk, a cursor is written, synced, renamed, opened.
#[test]
fn whatever_call_is_the_last() {
    for (calls, when) in [
        ("pwrite64", 6),
        ("pwrite64", 20),
        ("fdatasync", 1),
        ("fdatasync", 4),
        ("fsync", 4),
        ("fsync", 9),
        ("rename", 1),
        ("rename", 2),
        ("rename", 3),
        ("openat", 60),
        ("openat", 75),
    ] {
        let mut world = World::new().set("recording.chunk_age", "1s").build();
        let inject = format!("{calls}:signal=KILL:when={when}");
        let path = ["pwrite64", "fdatasync"].contains(&calls).then_some(FIRST);
        // Some of these come before anybody can connect.
        let began = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            start(&mut world, path, calls, &inject);
        }));
        let mut seen = Vec::new();
        for round in 0..3 {
            if began.is_err() || has_ended(&mut world) {
                break;
            }
            let marker = format!("last-{round}-");
            let client = Client::run(&world, &marker, "seq 1 3000");
            seen.push((marker, client.end().0));
        }
        if let Some(mut bastion) = world.bastion.take() {
            bastion.kill().unwrap();
            bastion.wait().unwrap();
        }
        world.start_bastion();
        for (marker, seen) in seen.iter().filter(|(_, seen)| !seen.is_empty()) {
            let recorded = check(&world, marker, seen);
            assert!(
                recorded.end.is_some(),
                "{calls} {when}: {marker} has no end"
            );
            assert_eq!(recorded.gaps, 0, "{calls} {when}: {marker}");
        }
    }
}

/// Sessions wait; the node says so, and that it is over.
#[test]
fn a_slow_disk_makes_sessions_wait() {
    let mut world = World::new().build();
    let inject = "pwrite64:delay_enter=900000:when=4..5";
    start(&mut world, Some(FIRST), "pwrite64", inject);
    let (seen, _) = Client::run(&world, "slow-", "seq 1 2000").end();
    assert!(seen.ends_with(b"\n2000\n"), "{}", world.log());
    world.stop_bastion();
    let recorded = check(&world, "slow-", &seen);
    assert_eq!(recorded.end.as_deref(), Some("target_exit"));
    let alerts = alerts(&world);
    for code in ["disk_slow", "disk_slow_over"] {
        assert!(alerts.contains(&code.to_owned()), "{alerts:?}");
    }
}

/// Ten seconds are the end: the person is told, and so is whoever reads the recording. The session
/// whose own write hangs hears nothing before it returns: that is why there are two.
#[test]
fn a_disk_that_stands_still_ends_sessions() {
    let mut world = World::new().build();
    let inject = "pwrite64:delay_enter=14000000:when=60";
    start(&mut world, Some(FIRST), "pwrite64", inject);
    let clients = ["first-", "second-"].map(|marker| Client::terminal(&world, marker));
    let mut told = 0;
    let mut seen = Vec::new();
    for client in clients {
        let marker = client.marker.clone();
        let (bytes, _) = client.end();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        told += usize::from(text.contains("portcullis: ") && text.contains("record"));
        seen.push((marker, text));
    }
    assert!(told > 0, "{}", world.log());
    for (marker, _) in &seen {
        let recorded = wait::until("the end of the session", || {
            find(&world.streams(), marker).filter(|recorded| recorded.end.is_some())
        });
        assert_eq!(recorded.end.as_deref(), Some("recorder"), "{marker}");
    }
    // It answers again: so does the bastion.
    world.ssh("ana", &["db1", "true"]).ok();
    world.stop_bastion();
    let alerts = alerts(&world);
    assert!(
        alerts.contains(&"recorder_stopped".to_owned()),
        "{alerts:?}"
    );
}
