//! Chunks and cursors as files: names, and writing them whole or not at all.

use super::cursor::Cursor;
use crate::id::SessionId;
use chrono::{DateTime, Datelike};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a line in a chunk says about where it stood.
#[derive(serde::Deserialize)]
pub(crate) struct Stood {
    pub(crate) mt: u64,
    pub(crate) kind: String,
}

/// A session's id holds the time at which it was made.
pub(crate) fn made_at(session: SessionId) -> u64 {
    let (seconds, nanos) = session.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(nanos))
}

pub(crate) fn chunk_name(number: u64) -> String {
    format!("{number:06}.jsonl.zst")
}

pub(crate) fn read_chunk(dir: &Path, number: u64) -> Option<Vec<u8>> {
    let file = File::open(dir.join(chunk_name(number))).ok()?;
    zstd::decode_all(file).ok()
}

pub(crate) fn cursor_name(session: SessionId) -> String {
    format!("{session}.json")
}

pub(crate) fn save(
    cursors: &Path,
    session: SessionId,
    cursor: &Cursor,
    sync: bool,
) -> io::Result<()> {
    let text = serde_json::to_vec(cursor).map_err(io::Error::other)?;
    write_whole(cursors, &cursor_name(session), &text, sync)
}

/// `YYYY/MM/DD/SID`, by the UTC date of the session's start.
pub(crate) fn session_dir(recordings: &Path, session: SessionId, wall_ns: u64) -> PathBuf {
    let day = DateTime::from_timestamp_nanos(i64::try_from(wall_ns).unwrap_or(i64::MAX));
    recordings
        .join(format!("{:04}", day.year()))
        .join(format!("{:02}", day.month()))
        .join(format!("{:02}", day.day()))
        .join(session.to_string())
}

pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Keeps what cannot be read, under its own name and where nobody takes it for good.
pub(crate) fn set_aside(quarantine: &Path, path: &Path) -> io::Result<String> {
    make_dir(quarantine)?;
    let name = path.file_name().unwrap_or_default();
    std::fs::rename(path, quarantine.join(name))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Whole or not at all: written beside, synced, renamed, directory synced.
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
    let beside = dir.join(format!(".{name}.new"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    std::fs::rename(&beside, dir.join(name))?;
    if sync {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
