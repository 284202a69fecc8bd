//! What a session ran, as far as its events say it, and where they cannot.

use super::line::Line;
use super::listed::Listed;
use crate::event::{Blind, BlindReason, Command, CommandSource, Confidence};
use crate::id::Seq;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// Bytes of a command that are shown; its event has all of it.
const TEXT_BYTES_MAX: usize = 4096; // 4 KiB

#[derive(Debug, Serialize)]
pub struct Ran {
    pub seq: Seq,
    /// When it was submitted.
    pub at: DateTime<Utc>,
    pub channel: Option<u32>,
    pub text: String,
    pub confidence: Confidence,
    /// As the target said, if it said so.
    pub exit_status: Option<i64>,
    /// It was asked for as an exec: the channel's exit status is its own.
    #[serde(skip)]
    is_exec: bool,
}

/// Where commands can be missing from the list.
#[derive(Debug, Serialize)]
pub struct Unseen {
    pub reason: BlindReason,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Ran {
    pub(super) fn of(line: &Line, command: &Command) -> Self {
        Self {
            seq: line.seq,
            at: moment(line, command.span.to_mt),
            channel: line.channel,
            text: shortened(&command.text),
            confidence: command.confidence,
            exit_status: command.marks.exit_status.map(i64::from),
            is_exec: command.sources.contains(&CommandSource::Exec),
        }
    }
}

impl Unseen {
    pub(super) fn of(line: &Line, blind: &Blind) -> Self {
        Self {
            reason: blind.reason,
            from: moment(line, blind.span.from_mt),
            to: moment(line, blind.span.to_mt),
        }
    }
}

/// The exec of this channel ended so.
pub(super) fn ended(list: &mut Listed<Ran>, channel: Option<u32>, status: u32) {
    for ran in &mut list.entries {
        if ran.is_exec && ran.channel == channel && channel.is_some() {
            ran.exit_status = Some(status.into());
        }
    }
}

/// A time of the session on the wall clock; the line's own where it is none.
fn moment(line: &Line, mt: u64) -> DateTime<Utc> {
    let since = |time: Duration| chrono::Duration::from_std(time).ok();
    let start = since(line.mt).and_then(|mt| line.ts.checked_sub_signed(mt));
    let at = start.and_then(|start| start.checked_add_signed(since(Duration::from_nanos(mt))?));
    at.unwrap_or(line.ts)
}

fn shortened(text: &str) -> String {
    let mut at = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    match text.get(..at) {
        Some(start) if at < text.len() => format!("{start}..."),
        Some(_) | None => text.to_owned(),
    }
}
