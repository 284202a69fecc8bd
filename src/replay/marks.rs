//! The moments of a session that one goes to: commands, files, alerts, gaps. Pure and bounded.

use super::line::{Line, What};
use super::open::Step;
use crate::event::{Audit, Command, CommandSource, Confidence, Kind, Note, Outcome, TextOrBytes};
use crate::inspect::files;
use std::time::Duration;

/// Marks of one session, and the text in them; what comes after is counted.
const MARKS_MAX: usize = 100_000;
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024; // 16 MiB
/// Of one mark: a command can be a whole script.
const ONE_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Command,
    File,
    Alert,
    Gap,
}

/// A moment. `text` and `detail` are recorded text: they go to a terminal through `Shown` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub at: Duration,
    pub channel: Option<u32>,
    pub sort: Sort,
    pub text: String,
    /// What else is known: status, directory, confidence.
    pub detail: String,
    /// Asked for as a whole (`exec`), not typed on a screen.
    pub is_request: bool,
}

/// Collects marks. A typed command is said after it was typed: sort by time what you took.
#[derive(Debug, Default)]
pub struct Marks {
    taken: usize,
    bytes: usize,
    left_out: u64,
    last: Duration,
}

impl Marks {
    /// The mark of this step, if it is one and there is room.
    pub fn take(&mut self, step: &Step) -> Option<Mark> {
        let mut mark = match step {
            Step::Line(line) => {
                self.last = self.last.max(line.mt);
                of(line)?
            }
            Step::Damage(damage) => mark(
                self.last,
                None,
                Sort::Gap,
                format!("damage: {damage}"),
                String::new(),
            ),
        };
        shorten(&mut mark.text);
        shorten(&mut mark.detail);
        let bytes = self.bytes + mark.text.len() + mark.detail.len();
        if self.taken >= MARKS_MAX || bytes > TEXT_BYTES_MAX {
            self.left_out += 1;
            return None;
        }
        self.taken += 1;
        self.bytes = bytes;
        Some(mark)
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn mark(at: Duration, channel: Option<u32>, sort: Sort, text: String, detail: String) -> Mark {
    Mark {
        at,
        channel,
        sort,
        text,
        detail,
        is_request: false,
    }
}

pub(super) fn of(line: &Line) -> Option<Mark> {
    let What::Audit(audit) = &line.what else {
        return None;
    };
    let plain = |sort, text| Some(mark(line.mt, line.channel, sort, text, String::new()));
    if audit.outcome == Outcome::Denied {
        return plain(Sort::Alert, format!("refused: {}", line.kind));
    }
    if let Some(told) = files::told(&audit.kind) {
        return plain(Sort::File, told);
    }
    happened(line, audit)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are no moment that one looks for"
)]
fn happened(line: &Line, audit: &Audit) -> Option<Mark> {
    let new = |sort, text| mark(line.mt, line.channel, sort, text, String::new());
    Some(match &audit.kind {
        Kind::Exec { command, .. } => Mark {
            is_request: true,
            ..new(Sort::Command, words(command))
        },
        // The exec itself is a mark already.
        Kind::Command(command) if command.sources.contains(&CommandSource::Exec) => return None,
        Kind::Command(command) => Mark {
            at: Duration::from_nanos(command.span.from_mt).min(line.mt),
            detail: detail(command),
            ..new(Sort::Command, command.text.clone())
        },
        Kind::Alert { note, .. } => new(Sort::Alert, said(note)),
        Kind::Error(note) => new(Sort::Alert, said(note)),
        Kind::Gap {
            bytes,
            events,
            message,
        } => new(
            Sort::Gap,
            format!("gap: {bytes} bytes and {events} events: {message}"),
        ),
        _ => return None,
    })
}

fn said(note: &Note) -> String {
    format!("{}: {}", note.code, note.message)
}

fn detail(command: &Command) -> String {
    let mut parts = Vec::new();
    if let Some(status) = command.marks.exit_status {
        parts.push(format!("exit status {status}"));
    }
    if let Some(directory) = &command.marks.directory {
        parts.push(format!("in {directory}"));
    }
    if let Some(ms) = command.marks.duration_ms {
        let took = humantime::format_duration(Duration::from_millis(ms));
        parts.push(format!("took {took}"));
    }
    parts.push(
        match command.confidence {
            Confidence::High => "confidence high",
            Confidence::Medium => "confidence medium",
            Confidence::Low => "confidence low",
        }
        .to_owned(),
    );
    parts.join(", ")
}

fn words(text: &TextOrBytes) -> String {
    match &text.data {
        Some(data) => data.clone(),
        None => format!("({} bytes that are no text)", text.n),
    }
}

fn shorten(text: &mut String) {
    if text.len() > ONE_BYTES_MAX {
        let mut end = ONE_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}
