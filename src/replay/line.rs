//! One line of a recording, parsed. Unknown fields and kinds are passed over (docs/recording-format.md 3).

use crate::event::{Audit, Direction, Envelope, Frame, Secret, TextOrBytes, VERSION};
use crate::id::{Seq, SessionId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::time::Duration;

/// The envelope and what the line says.
#[derive(Clone, Debug)]
pub struct Line {
    pub sid: SessionId,
    pub seq: Seq,
    pub ts: DateTime<Utc>,
    /// Since the session started, monotonic.
    pub mt: Duration,
    pub kind: String,
    pub channel: Option<u32>,
    /// It is not in the recording, but follows from it ([`super::Whole`]): which of those that have
    /// this number.
    pub derived: Option<u32>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Bytes that the person saw; what is not UTF-8 as U+FFFD.
    Output {
        fd: u8,
        text: String,
        /// Bytes of it that are no UTF-8.
        lost: u64,
    },
    /// Bytes that the bastion put on the person's terminal.
    Notice {
        text: String,
    },
    /// What was typed or sent: its length, and its content where the frame keeps it. It is no part
    /// of what is shown.
    Input {
        bytes: u64,
        content: Option<Secret>,
    },
    Resize {
        cols: u32,
        rows: u32,
    },
    Progress {
        direction: Direction,
        bytes: u64,
    },
    Audit(Box<Audit>),
    /// What the disk has for certain.
    Commit,
    /// A kind that this version does not know, or knows differently.
    Unknown,
}

/// Why bytes are not a line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotALine {
    Malformed(String),
    Newer(u64),
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Line {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NotALine> {
        let version: Version = from_json(bytes)?;
        if version.v > u64::from(VERSION) {
            return Err(NotALine::Newer(version.v));
        }
        let envelope: Envelope = from_json(bytes)?;
        let what = match is_frame(&envelope.kind) {
            true => What::of(from_json(bytes)?)?,
            false => What::audit(bytes),
        };
        Ok(Self::of(envelope, what))
    }

    /// As [`Line::parse`], without the content of frames: for who looks for audit events alone, and
    /// most bytes are in frames.
    pub(super) fn skim(bytes: &[u8]) -> Result<Self, NotALine> {
        let envelope: Envelope = from_json(bytes)?;
        if envelope.v > u64::from(VERSION) {
            return Err(NotALine::Newer(envelope.v));
        }
        let what = match is_frame(&envelope.kind) {
            true => What::Unknown,
            false => What::audit(bytes),
        };
        Ok(Self::of(envelope, what))
    }

    fn of(envelope: Envelope, what: What) -> Self {
        Self {
            sid: envelope.sid,
            seq: envelope.seq,
            ts: envelope.ts,
            mt: Duration::from_nanos(envelope.mt),
            kind: envelope.kind,
            channel: envelope.channel.map(|channel| channel.0),
            derived: None,
            what,
        }
    }
}

fn is_frame(kind: &str) -> bool {
    matches!(
        kind,
        "input" | "output" | "notice" | "resize" | "commit" | "stream.progress"
    )
}

impl What {
    fn audit(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).map_or(Self::Unknown, |audit| Self::Audit(Box::new(audit)))
    }

    fn of(frame: Frame) -> Result<Self, NotALine> {
        Ok(match frame {
            Frame::Input { bytes, withheld } => Self::Input {
                bytes: bytes.n,
                content: (!withheld).then(|| content(bytes)).flatten(),
            },
            Frame::Output { fd, bytes } => {
                let (text, lost) = text(bytes)?;
                Self::Output { fd, text, lost }
            }
            Frame::Notice { bytes } => Self::Notice {
                text: text(bytes)?.0,
            },
            Frame::Resize { cols, rows } => Self::Resize { cols, rows },
            Frame::Commit { .. } => Self::Commit,
            Frame::Progress {
                direction, bytes, ..
            } => Self::Progress { direction, bytes },
        })
    }
}

/// The text, and how many bytes are none. The recorder carries incomplete UTF-8 into the next frame,
/// so that a frame is whole characters or no text at all (docs/recording-format.md 5.2).
fn text(bytes: TextOrBytes) -> Result<(String, u64), NotALine> {
    if let Some(text) = bytes.data {
        return Ok((text, 0));
    }
    let bytes = STANDARD
        .decode(bytes.base64.unwrap_or_default())
        .map_err(|error| NotALine::Malformed(error.to_string()))?;
    let lost = bytes
        .utf8_chunks()
        .map(|chunk| chunk.invalid().len() as u64);
    let lost = lost.sum();
    Ok((String::from_utf8_lossy(&bytes).into_owned(), lost))
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotALine> {
    serde_json::from_slice(bytes).map_err(|error| NotALine::Malformed(error.to_string()))
}

/// The bytes of a frame that keeps them.
fn content(bytes: TextOrBytes) -> Option<Secret> {
    let bytes = match (bytes.data, bytes.base64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(text)) => STANDARD.decode(text).ok()?,
        (None, None) => return None,
    };
    Some(Secret(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &str = r#""sid":"01935f3e-8a7b-7000-8000-000000000001","seq":3,"ts":"2026-11-24T00:00:00.000000007Z","mt":7"#;

    fn parse(rest: &str) -> Result<Line, NotALine> {
        Line::parse(format!("{{\"v\":1,{ENVELOPE},{rest}}}").as_bytes())
    }

    #[test]
    fn a_newer_version_is_refused_whatever_else_it_says() {
        assert_eq!(
            Line::parse(br#"{"v":2,"anything":[]}"#).unwrap_err(),
            NotALine::Newer(2)
        );
    }

    #[test]
    fn unknown_kinds_and_fields_are_passed_over() {
        let line = parse(r#""kind":"sftp.open","channel":2,"path":"/etc""#).unwrap();
        assert!(matches!(line.what, What::Unknown));
        assert_eq!(line.channel, Some(2));
        let line = parse(r#""kind":"output","channel":0,"fd":2,"data":"x","n":1,"new":{}"#);
        assert!(matches!(line.unwrap().what, What::Output { fd: 2, .. }));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_replacement() {
        let line = parse(r#""kind":"output","channel":0,"fd":1,"base64":"Qf9C","n":3"#).unwrap();
        assert!(matches!(line.what, What::Output { text, .. } if text == "A\u{fffd}B"));
        assert!(parse(r#""kind":"output","base64":"%","n":1"#).is_err());
    }

    #[test]
    fn audit_lines_become_the_words_of_the_house() {
        let line = parse(r#""kind":"channel.open","outcome":"success","channel_type":"session""#);
        let What::Audit(audit) = line.unwrap().what else {
            panic!("not an audit event");
        };
        assert_eq!(audit.outcome, crate::event::Outcome::Success);
    }
}
