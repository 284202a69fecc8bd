//! kill -9 at random moments of real traffic.

use crate::compare::{Recorded, find};
use crate::traffic::Client;
use crate::world::World;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs;
use std::path::PathBuf;

const KILLS: usize = 50;

struct Got {
    marker: String,
    seen: Vec<u8>,
    took: Vec<u8>,
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).unwrap();
    usize::try_from(u32::from_le_bytes(bytes)).unwrap() % below
}

/// Three clients; the bastion is killed when one of them, whichever, has got a random number of bytes.
fn kill_once(world: &mut World, round: usize) -> Vec<Got> {
    let clients = [
        Client::terminal(world, &format!("terminal-{round}-")),
        Client::both_ways(world, &format!("both-{round}-")),
        Client::bulk(world, &format!("bulk-{round}-")),
    ];
    let which = round % clients.len();
    // The bulk goes well past what is kept of it.
    let bytes = 1 + random([60_000, 60_000, 8_000_000][which]);
    let met = clients[which].wait_for(bytes);
    world.kill_bastion();
    assert!(
        met,
        "round {round}: the client ended before {bytes} bytes:\n{}",
        world.log()
    );
    let got = clients.map(|client| {
        let marker = client.marker.clone();
        let (seen, took) = client.end();
        Got { marker, seen, took }
    });
    got.into()
}

#[test]
fn fifty_kills_lose_nothing_that_anybody_saw() {
    let mut world = World::new().start();
    let mut all = Vec::new();
    for round in 0..KILLS {
        all.extend(kill_once(&mut world, round));
        world.start_bastion();
    }
    let streams = world.streams();
    let (mut seen, mut took, mut sessions) = (0, 0, 0);
    for got in &all {
        seen += got.seen.len();
        took += got.took.len();
        let Some(recorded) = find(&streams, &got.marker) else {
            // Killed before the session was open: then nobody saw anything of it.
            assert!(
                got.seen.is_empty() && got.took.is_empty(),
                "{} is not recorded",
                got.marker
            );
            continue;
        };
        sessions += 1;
        let misses = recorded.misses(&got.seen, &got.took);
        assert_eq!(misses, None, "{} after {KILLS} kills", got.marker);
        assert_eq!(
            recorded.end.as_deref(),
            Some("node_crash"),
            "{}",
            got.marker
        );
        assert_eq!(recorded.gaps, 0, "{}", got.marker);
    }
    println!(
        "{KILLS} kills, {sessions} sessions: {seen} bytes that people saw and {took} that targets \
         took, all recorded"
    );
}

/// As if a byte went on before its record was written: the last records are taken away, and the
/// comparison above must see it.
#[test]
fn a_recorder_that_forwards_first_is_caught() {
    const LINES: u32 = 20_000;
    let mut world = World::new().start();
    for which in ["terminal", "both"] {
        // All of it has come to its end: nothing that is recorded is still under way.
        let (client, bytes) = match which {
            "terminal" => {
                let marker = "terminal-x-";
                let client = Client::terminal_up_to(&world, marker, LINES);
                let lines = (1..=LINES).map(|n| format!("{n}\r\n").len());
                (client, format!("{marker}\r\n").len() + lines.sum::<usize>())
            }
            _ => {
                let client = Client::both_ways_up_to(&world, "both-x-", LINES);
                let lines = (0..LINES).map(|n| format!("sent {n}\n").len());
                (client, lines.sum())
            }
        };
        assert!(client.wait_for(bytes), "{}", world.log());
        world.kill_bastion();
        let marker = client.marker.clone();
        let (seen, took) = client.end();
        let whole = recorded_after(&world, &marker, |_| {});
        assert_eq!(whole.misses(&seen, &took), None);
        let cut = recorded_after(&world, &marker, |segment| {
            let last = segment.iter().rposition(|byte| *byte != 0).unwrap();
            let from = segment.len().min(last) / 2;
            segment[from.max(4096)..].fill(0);
        });
        assert!(
            cut.misses(&seen, &took).is_some(),
            "{which}: what is lost was not missed"
        );
        world.start_bastion();
    }
}

/// What the next start makes of the state that the kill left, after `spoil` had the journal: on a
/// copy, so that it can be done twice.
fn recorded_after(world: &World, marker: &str, spoil: impl Fn(&mut [u8])) -> Recorded {
    let state = world.path("bastion/state");
    let kept = world.path("kept");
    copy(&state, &kept);
    let journal = fs::read_dir(state.join("journal")).unwrap();
    let segments = journal.map(|entry| entry.unwrap().path());
    let segments = segments.filter(|path| path.extension().is_some_and(|end| end == "journal"));
    for path in segments {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.iter().skip(4096).any(|byte| *byte != 0) {
            spoil(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
    }
    // Any verb that takes the state directory recovers it.
    world.verb(&["ca", "krl"]);
    world.verb(&["sessions"]);
    let found = find(&world.streams(), marker).unwrap_or_default();
    fs::remove_dir_all(&state).unwrap();
    fs::rename(kept, state).unwrap();
    found
}

fn copy(from: &PathBuf, to: &PathBuf) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else if path.is_file() {
            fs::copy(&path, to).unwrap();
        }
    }
}
