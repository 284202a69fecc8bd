//! The room as a whole, on a real directory: what was appended is in the chunks, whatever breaks.

use super::chunk::{Chunker, Place};
use super::file::Segment;
use super::recover::recover;
use super::segment::{Encoded, HEADER_BYTES, Record, Tag, header};
use super::{Config, Durability, Error, Free, Recorder, Recording};
use crate::clock::Clock;
use crate::event::{Audit, Body, End, Entry, Kind, Note, Outcome, Secret, Totals};
use crate::id::{ChannelId, SessionId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast;

const SEGMENT: u64 = 1024 * 1024;

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_owned(),
        segment_bytes: SEGMENT,
        chunk_bytes: 64 * 1024,
        chunk_age: Duration::from_secs(60),
        warn_free: Free::Bytes(0),
        refuse_free: Free::Bytes(0),
    }
}

fn open(dir: &Path) -> Recorder {
    Recorder::open(config(dir), Clock::system()).unwrap()
}

fn note(code: &str) -> Audit {
    let note = Note {
        code: code.to_owned(),
        message: String::new(),
        reference: None,
        certificate: None,
        keys: Vec::new(),
    };
    Audit::of_node(Kind::Error(note), Outcome::Success)
}

fn end() -> Audit {
    let end = Kind::SessionEnd {
        reason: End::UserExit,
        detail: None,
        totals: Totals::default(),
    };
    Audit::of_node(end, Outcome::Success)
}

async fn session(recorder: &Recorder) -> Recording {
    let id = SessionId::at(Clock::system().now());
    let opened = recorder.open_session(id, note("start"), Durability::Batch);
    opened.await.unwrap()
}

fn output(text: &str) -> Entry {
    let data = Secret(text.as_bytes().to_vec().into());
    Entry::on(ChannelId(0), Body::Output { fd: 1, data })
}

/// Stream -> its lines.
fn streams(state: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut dirs = vec![state.join("recordings")];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    for file in files {
        let text = zstd::decode_all(fs::File::open(&file).unwrap()).unwrap();
        let id = file
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        let lines = found.entry(id.to_owned()).or_default();
        for line in std::str::from_utf8(&text).unwrap().lines() {
            lines.push(serde_json::from_str(line).unwrap());
        }
    }
    found
}

fn text(lines: &[Value]) -> String {
    let output = lines.iter().filter(|line| line["kind"] == "output");
    output.map(|line| line["data"].as_str().unwrap()).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// As a killed process leaves it: what was written is there, nothing is closed.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            // A segment that was never used may be gone by now.
            fs::copy(entry.path(), to).ok();
        }
    }
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{n};")).collect()
}

async fn write(recording: &Recording, range: std::ops::Range<u32>) {
    for n in range {
        recording.append(output(&format!("{n};"))).await.unwrap();
    }
}

fn break_segment(recorder: &Recorder) {
    let segment = recorder.inner_journal().readable().0;
    segment.broken.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn a_segment_that_fails_is_replaced_and_nothing_is_lost() {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recorder = open(dir.path());
    let recording = session(&recorder).await;
    let id = recording.id().to_string();
    write(&recording, 0..50).await;
    break_segment(&recorder);
    write(&recording, 50..100).await;
    break_segment(&recorder);
    write(&recording, 100..150).await;
    copy(dir.path(), crashed.path());
    recording.close(end()).await.unwrap();
    assert!(recorder.status().replaced_segments >= 2);
    recorder.shut_down().unwrap();
    let all = streams(dir.path());
    assert_eq!(text(&all[&id]), numbers(0..150));
    let node = all.values().find(|lines| lines[0]["kind"] == "node.start");
    assert!(!of_kind(node.unwrap(), "alert").is_empty(), "{node:?}");

    open(crashed.path()).shut_down().unwrap();
    let lines = &streams(crashed.path())[&id];
    assert_eq!(text(lines), numbers(0..150));
    let last = lines.last().unwrap();
    assert_eq!(last["reason"], "node_crash");
    assert_eq!(last["totals"]["output_bytes"], numbers(0..150).len());
    assert!(of_kind(lines, "gap").is_empty());
}

#[tokio::test]
async fn a_sync_that_fails_is_not_believed_later() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = open(dir.path());
    let id = SessionId::at(Clock::system().now());
    let opened = recorder.open_session(id, note("start"), Durability::Sync);
    let recording = opened.await.unwrap();
    write(&recording, 0..3).await;
    break_segment(&recorder);
    // Returns only when the disk has it: in another segment.
    write(&recording, 3..4).await;
    assert_eq!(recorder.status().replaced_segments, 1);
    recording.close(end()).await.unwrap();
    recorder.shut_down().unwrap();
    assert_eq!(text(&streams(dir.path())[&id.to_string()]), numbers(0..4));
}

#[tokio::test]
async fn segments_roll_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = open(dir.path());
    let recording = session(&recorder).await;
    let id = recording.id().to_string();
    let piece = "0123456789abcdef".repeat(1024);
    for _ in 0..300 {
        recording.append(output(&piece)).await.unwrap();
    }
    recording.close(end()).await.unwrap();
    recorder.shut_down().unwrap();
    assert!(text(&streams(dir.path())[&id]) == piece.repeat(300));
    open(dir.path()).shut_down().unwrap();
    let left = fs::read_dir(dir.path().join("journal")).unwrap();
    let left = left.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|end| end == "journal")
    });
    assert_eq!(left.count(), 1);
}

/// One session may have 256 KiB in memory; the rest waits outside, and nothing is lost.
#[tokio::test]
async fn appends_wait_for_a_disk_that_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = open(dir.path());
    let recording = session(&recorder).await;
    let id = recording.id().to_string();
    let journal = recorder.inner_journal();
    while std::mem::replace(&mut journal.lock().busy, true) {
        tokio::task::yield_now().await;
    }
    let piece = "x".repeat(32 * 1024);
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (recording, entry) = (recording.clone(), output(&piece));
        appends.spawn(async move { recording.append(entry).await });
    }
    while journal.lock().pending.len() < 7 {
        tokio::task::yield_now().await;
    }
    assert!(appends.try_join_next().is_none());
    let bytes: usize = journal.lock().pending.iter().map(|w| w.encoded.len()).sum();
    assert!(bytes <= 256 * 1024, "{bytes}");
    journal.lock().busy = false;
    journal.wake_writer.notify_one();
    while let Some(done) = appends.join_next().await {
        done.unwrap().unwrap();
    }
    recording.close(end()).await.unwrap();
    recorder.shut_down().unwrap();
    assert_eq!(text(&streams(dir.path())[&id]).len(), 20 * piece.len());
}

#[tokio::test]
async fn an_append_that_waited_too_long_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = open(dir.path());
    let recording = session(&recorder).await;
    let id = recording.id().to_string();
    let journal = recorder.inner_journal();
    while std::mem::replace(&mut journal.lock().busy, true) {
        tokio::task::yield_now().await;
    }
    // Ten seconds pass at once.
    tokio::time::pause();
    let failed = recording.append(output("unseen")).await;
    tokio::time::resume();
    assert!(matches!(failed, Err(Error::Slow(_))), "{failed:?}");
    journal.lock().busy = false;
    journal.wake_writer.notify_one();
    recording.close(end()).await.unwrap();
    recorder.shut_down().unwrap();
    let lines = &streams(dir.path())[&id];
    let gap = of_kind(lines, "gap")[0];
    assert_eq!(
        (gap["bytes"].as_u64(), gap["events"].as_u64()),
        (Some(6), Some(1))
    );
    assert_eq!(lines.last().unwrap()["kind"], "session.end");
}

#[test]
fn one_recorder_for_a_directory_and_only_where_it_can_write() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = open(dir.path());
    let second = Recorder::open(config(dir.path()), Clock::system())
        .err()
        .unwrap();
    assert!(matches!(second, Error::Taken { .. }));
    assert!(second.to_string().contains("already running"), "{second}");
    recorder.shut_down().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Recorder::open(config(&file.join("state")), Clock::system());
    let text = error.err().unwrap().to_string();
    assert!(text.contains("file/state"), "{text}");
}

// ---- recovery ------------------------------------------------------------------------------------

fn id(n: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(
        0x0193_5f3e_8a7b_7000_8000_0000_0000_0000 + n,
    ))
}

fn record(session: SessionId, tag: Tag, payload: &[u8]) -> Record {
    Record {
        session,
        channel: (tag == Tag::Output).then_some(0),
        mt: 1_000_000,
        tag,
        payload: payload.to_vec(),
    }
}

fn opening(session: SessionId) -> [Record; 2] {
    // Where its id says: 2024-11-24.
    let wall = (0x0193_5f3e_8a7b_u64 * 1_000_000).to_le_bytes();
    let start = br#"{"kind":"session.start","outcome":"success","who":{"subject":"ana"}}"#;
    [
        record(session, Tag::Open, &[wall, [0; 8]].concat()),
        record(session, Tag::Audit, start),
    ]
}

/// A segment file with these records, the first of them as number `seq`; gives where each begins.
fn lay(state: &Path, number: u64, seq: u64, records: &[Record]) -> Vec<usize> {
    let dir = state.join("journal");
    fs::create_dir_all(&dir).unwrap();
    let epoch = 77 + number;
    let mut bytes = header(epoch);
    let mut places = Vec::new();
    for (seq, record) in (seq..).zip(records) {
        let mut encoded: Encoded = record.encode();
        encoded.place(seq, epoch);
        places.push(bytes.len());
        bytes.extend_from_slice(encoded.bytes());
    }
    bytes.resize(usize::try_from(SEGMENT).unwrap(), 0);
    fs::write(dir.join(Segment::file_name(number)), bytes).unwrap();
    places
}

fn spoil(state: &Path, number: u64, at: usize, with: &[u8]) {
    let path = state.join("journal").join(Segment::file_name(number));
    let mut bytes = fs::read(&path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

fn recovered(state: &Path) -> (super::recover::Recovered, BTreeMap<String, Vec<Value>>) {
    let mut chunker = chunker(state);
    let found = recover(&state.join("journal"), &mut chunker).unwrap();
    (found, streams(state))
}

fn chunker(state: &Path) -> Chunker {
    Chunker::new(state, 64 * 1024, broadcast::channel(16).0).unwrap()
}

fn letters(session: SessionId) -> Vec<Record> {
    let letters = ["a", "b", "c", "d", "e", "f"];
    let outputs = letters.map(|letter| record(session, Tag::Output, letter.as_bytes()));
    opening(session).into_iter().chain(outputs).collect()
}

#[test]
fn a_torn_tail_is_cut_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let places = lay(dir.path(), 3, 0, &letters(id(1)));
    spoil(dir.path(), 3, places[7] + 30, &[0; 12]);
    let (found, streams) = recovered(dir.path());
    assert_eq!(text(&streams[&id(1).to_string()]), "abcde");
    assert!(found.torn_bytes > 0, "{found:?}");
    assert!(found.quarantined.is_empty(), "{found:?}");
    assert_eq!((found.sessions, found.next_segment), (1, 4));
}

#[test]
fn damage_is_kept_aside_and_said_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let places = lay(dir.path(), 0, 0, &letters(id(1)));
    spoil(dir.path(), 0, places[4] + 20, b"????");
    spoil(dir.path(), 0, places[5] + 20, b"????");
    let (found, streams) = recovered(dir.path());
    let lines = &streams[&id(1).to_string()];
    assert_eq!(text(lines), "abef");
    let gap = of_kind(lines, "gap")[0];
    assert_eq!(
        (&gap["events"], &gap["who"]["subject"]),
        (&Value::from(2), &Value::from("ana"))
    );
    assert_eq!(found.quarantined, [Segment::file_name(0)]);
    let kept = dir
        .path()
        .join("journal/quarantine")
        .join(Segment::file_name(0));
    assert!(kept.exists());
}

#[test]
fn a_lost_segment_and_a_lost_beginning_are_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let all = letters(id(1));
    lay(dir.path(), 0, 0, &all[..4]);
    let other = [
        record(id(2), Tag::Output, b"late"),
        record(id(2), Tag::Close, b""),
    ];
    // Segment 1, with two records, is gone.
    let last = [&all[6..], &other].concat();
    lay(dir.path(), 2, 6, &last);
    let (_, streams) = recovered(dir.path());
    let lines = &streams[&id(1).to_string()];
    assert_eq!(text(lines), "abef");
    assert_eq!(of_kind(lines, "gap")[0]["events"], 2);
    let lines = &streams[&id(2).to_string()];
    assert_eq!(lines[0]["kind"], "gap");
    assert_eq!(text(lines), "late");
}

/// What was written again counts once, and in a segment whose first record is missing not at all.
#[test]
fn a_replaced_segment_loses_and_repeats_nothing() {
    let all = letters(id(1));
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path(), 0, 0, &all[..6]);
    lay(dir.path(), 1, 4, &all[4..]);
    let (found, streams) = recovered(dir.path());
    assert_eq!(text(&streams[&id(1).to_string()]), "abcdef");
    assert!(
        found.quarantined.is_empty() && found.torn_bytes == 0,
        "{found:?}"
    );

    // The old one was damaged where the new one has it again.
    let dir = tempfile::tempdir().unwrap();
    let places = lay(dir.path(), 0, 0, &all[..6]);
    spoil(dir.path(), 0, places[4] + 20, b"????");
    lay(dir.path(), 1, 4, &all[4..]);
    let (found, streams) = recovered(dir.path());
    assert_eq!(text(&streams[&id(1).to_string()]), "abcdef");
    assert!(found.quarantined.is_empty(), "{found:?}");

    // Killed while it was written again.
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path(), 0, 0, &all);
    let places = lay(dir.path(), 1, 2, &all[2..5]);
    spoil(dir.path(), 1, places[0], &vec![0; places[1] - places[0]]);
    let (found, streams) = recovered(dir.path());
    assert_eq!(text(&streams[&id(1).to_string()]), "abcdef");
    assert!(found.quarantined.is_empty(), "{found:?}");
}

#[test]
fn a_foreign_file_is_no_segment_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("journal")).unwrap();
    fs::write(dir.path().join("journal/0000000000.journal"), "not ours").unwrap();
    let (found, _) = recovered(dir.path());
    assert_eq!(found.quarantined.len(), 1);
}

/// Nothing of it is in the journal any more: it is closed all the same, by its own name.
#[test]
fn a_quiet_session_is_closed_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let mut chunker = chunker(dir.path());
    let cut = record(id(1), Tag::Cut, b"");
    for (seq, record) in (0..).zip(letters(id(1)).iter().chain([&cut])) {
        chunker.feed(Place { segment: 0, seq }, record, 0).unwrap();
    }
    drop(chunker);
    let (found, streams) = recovered(dir.path());
    let lines = &streams[&id(1).to_string()];
    assert_eq!(found.sessions, 1);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["reason"], &last["who"]["subject"]),
        (&"node_crash".into(), &"ana".into())
    );
    assert_eq!(last["totals"]["output_bytes"], 6);
}

#[test]
fn a_cursor_that_cannot_be_read_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = letters(id(1));
    let mut chunker = chunker(dir.path());
    let cut = record(id(1), Tag::Cut, b"");
    for (seq, record) in (0..).zip(all[..4].iter().chain([&cut])) {
        chunker.feed(Place { segment: 0, seq }, record, 0).unwrap();
    }
    drop(chunker);
    let cursor = dir.path().join(format!("journal/cursors/{}.json", id(1)));
    fs::write(&cursor, "{").unwrap();
    lay(dir.path(), 1, 5, &all[4..]);
    let (found, streams) = recovered(dir.path());
    let lines = &streams[&id(1).to_string()];
    assert_eq!(text(lines).chars().last(), Some('f'));
    assert!(text(lines).contains("cdef"), "{lines:?}");
    assert_eq!(of_kind(lines, "gap").len(), 1);
    assert_eq!(found.quarantined.len(), 1, "{found:?}");
}

/// A disk that fails between two chunks: the same record comes again, and counts once.
#[test]
fn a_chunk_that_failed_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut chunker = chunker(dir.path());
    let cursors = dir.path().join("journal/cursors");
    fs::remove_dir(&cursors).unwrap();
    let close = record(id(1), Tag::Close, b"");
    let all: Vec<_> = letters(id(1)).into_iter().chain([close]).collect();
    for (seq, record) in (0..).zip(&all) {
        let place = Place { segment: 0, seq };
        if record.tag == Tag::Close {
            chunker.feed(place, record, 0).unwrap_err();
            chunker.feed(place, record, 0).unwrap_err();
            fs::create_dir(&cursors).unwrap();
            assert!(chunker.feed(place, record, 0).unwrap());
        } else {
            chunker.feed(place, record, 0).unwrap_or_default();
        }
    }
    let lines = &streams(dir.path())[&id(1).to_string()];
    assert_eq!(text(lines), "abcdef");
    let seqs: Vec<_> = lines
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (0..lines.len() as u64).collect::<Vec<_>>());
}

/// Lengths and numbers made up by somebody who types them: the search has an end.
#[test]
fn garbage_does_not_cost_hours() {
    let dir = tempfile::tempdir().unwrap();
    let all = letters(id(1));
    lay(dir.path(), 0, 0, &all[..1]);
    let start = usize::try_from(HEADER_BYTES).unwrap() + 70;
    let bait = [
        200_000u32.to_le_bytes().to_vec(),
        vec![0; 4],
        3u64.to_le_bytes().to_vec(),
    ];
    let bait = bait.concat().repeat(60_000);
    let room = usize::try_from(SEGMENT).unwrap() - start;
    spoil(dir.path(), 0, start, &bait[..room.min(bait.len())]);
    let (found, _) = recovered(dir.path());
    assert_eq!(found.quarantined.len(), 1, "{found:?}");
}

/// It should be under 5 s; how long it takes here is printed, not judged.
#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test measures and tells"
)]
fn a_thousand_open_sessions_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for n in 0..1000 {
        all.extend(letters(id(n)));
    }
    lay(dir.path(), 0, 0, &all);
    let began = std::time::Instant::now();
    let mut chunker = chunker(dir.path());
    let found = recover(&dir.path().join("journal"), &mut chunker).unwrap();
    println!(
        "1,000 open sessions closed and chunked in {:?}",
        began.elapsed()
    );
    assert_eq!(found.sessions, 1000);
    let streams = streams(dir.path());
    for n in 0..1000 {
        let lines = &streams[&id(n).to_string()];
        assert_eq!(text(lines), "abcdef");
        assert_eq!(lines.last().unwrap()["reason"], "node_crash");
    }
}
