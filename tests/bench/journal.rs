//! What "record before forward" costs here: `cargo bench --bench journal`. A table to read, no verdict.
//! `TMPDIR` says which disk; on one without a journal of its own the differences do not show.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures and tells"
)]

use portcullis::clock::Clock;
use portcullis::event::{Audit, Body, Entry, Kind, Outcome, Secret};
use portcullis::id::{ChannelId, SessionId};
use portcullis::record::{Config, Durability, Free, Recorder, Recording};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const KEYSTROKES: usize = 10_000;
/// Fewer beside a flood: it goes on for as long as they do.
const KEYSTROKES_FLOODED: usize = 3_000;
/// Of each session at least.
const KEYSTROKES_EACH: usize = 40;
/// Of all sessions in a second: a thousand people who type fast, 20 keys a second each.
const RATE: u32 = 20_000;
/// A flood of some 200 MiB/s: pieces of 32 KiB, then a pause of 1 ms.
const FLOOD_PIECES: usize = 7;
const STALL: Duration = Duration::from_secs(2);
const BULK: u64 = 512 * 1024 * 1024; // 512 MiB

fn output(bytes: usize) -> Entry {
    let data = Secret(vec![b'x'; bytes].into());
    Entry::on(ChannelId(0), Body::Output { fd: 1, data })
}

async fn open(recorder: &Recorder) -> Recording {
    let start = Audit::of_node(Kind::NodeStop, Outcome::Success);
    let id = SessionId::at(Clock::system().now());
    let opened = recorder.open_session(id, start, Durability::Batch);
    opened.await.unwrap()
}

/// Processor time of this process so far, all threads: proc(5), stat, fields 14 and 15, in 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Keystrokes of `count` sessions, a bounded number in all; how long each append took, sorted. They
/// type in turns, [`RATE`] keys a second together.
async fn keystrokes(recorder: &Recorder, count: usize, total: usize) -> Vec<Duration> {
    let mut sessions = JoinSet::new();
    let mut recordings = Vec::new();
    for _ in 0..count {
        recordings.push(open(recorder).await);
    }
    let turn = Duration::from_secs(1) / RATE;
    let pause = (turn * u32::try_from(count).unwrap()).max(Duration::from_millis(1));
    for (place, recording) in (0u32..).zip(recordings) {
        sessions.spawn(async move {
            tokio::time::sleep(turn * place).await;
            let mut took = Vec::new();
            for _ in 0..(total / count).max(KEYSTROKES_EACH) {
                let began = Instant::now();
                recording.append(output(8)).await.unwrap();
                took.push(began.elapsed());
                tokio::time::sleep(pause).await;
            }
            took
        });
    }
    let mut all = sessions.join_all().await.concat();
    all.sort();
    all
}

/// A session that never stops, until told.
async fn flood(recording: Recording, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..FLOOD_PIECES {
            recording.append(output(32 * 1024)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// strace holds up the next write to the journal for [`STALL`]; meanwhile timers are watched. How late
/// the latest of them was, and how long the append took.
async fn stall(recorder: &Recorder) -> Option<(Duration, Duration)> {
    let recording = open(recorder).await;
    let inject = format!("inject=pwrite64:delay_enter={}:when=1", STALL.as_micros());
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=pwrite64",
            "-e",
            &inject,
        ])
        .args(["-p", &std::process::id().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // TracerPid of proc(5): attached.
    let attached = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|pid| pid.trim() != "0")
    };
    while !attached() {
        if strace.try_wait().unwrap().is_some() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let appended = tokio::spawn(async move {
        let began = Instant::now();
        recording.append(output(8)).await.unwrap();
        began.elapsed()
    });
    let mut latest = Duration::ZERO;
    while !appended.is_finished() {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        latest = latest.max(began.elapsed().saturating_sub(Duration::from_millis(1)));
    }
    let took = appended.await.unwrap();
    strace.kill().unwrap();
    strace.wait().unwrap();
    Some((latest, took))
}

async fn run(recorder: &Recorder) {
    println!(
        "append of a keystroke\n  sessions  flood      p50        p99      p99.9    CPU/event"
    );
    for (count, flooded) in [
        (1, false),
        (50, false),
        (1000, false),
        (1, true),
        (50, true),
        (1000, true),
    ] {
        let stop = Arc::new(AtomicBool::new(false));
        let mut bulk = JoinSet::new();
        if flooded {
            bulk.spawn(flood(open(recorder).await, Arc::clone(&stop)));
        }
        let before = cpu();
        let total = match flooded {
            true => KEYSTROKES_FLOODED,
            false => KEYSTROKES,
        };
        let took = keystrokes(recorder, count, total).await;
        let each = (cpu() - before) / u32::try_from(took.len()).unwrap();
        stop.store(true, Ordering::Relaxed);
        bulk.join_all().await;
        let at = |part: usize| {
            took.get(took.len() * part / 1000)
                .copied()
                .unwrap_or_default()
        };
        let (p50, p99, p999) = (at(500), at(990), at(999));
        println!("  {count:8}  {flooded:5}  {p50:9.1?}  {p99:9.1?}  {p999:9.1?}  {each:9.1?}");
    }
    let recording = open(recorder).await;
    let (began, before) = (Instant::now(), cpu());
    for _ in 0..BULK / (32 * 1024) {
        recording.append(output(32 * 1024)).await.unwrap();
    }
    let (took, spent) = (began.elapsed(), cpu() - before);
    println!(
        "512 MiB of output in pieces of 32 KiB: {took:.1?}, CPU {:.1?} per GiB",
        spent * 2
    );
    match stall(recorder).await {
        Some((latest, took)) => println!(
            "a write that stands still: append {took:.1?}, the latest timer was late by {latest:.1?}"
        ),
        None => println!("a write that stands still: not measured, strace could not attach"),
    }
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().to_owned(),
        segment_bytes: 64 * 1024 * 1024,
        chunk_bytes: 1024 * 1024,
        chunk_age: Duration::from_secs(60),
        warn_free: Free::Bytes(0),
        refuse_free: Free::Bytes(0),
    };
    let recorder = Recorder::open(config, Clock::system()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(&recorder));
    drop(runtime);
    recorder.shut_down().unwrap();
}
