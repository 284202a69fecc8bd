//! What goes into the index.

use super::phrase::PHRASE_BYTES_MAX;
use crate::event::Confidence;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;

/// A longer text is several lines of the index, each this long and overlapping, so that nothing
/// of it cannot be found.
const TEXT_BYTES_MAX: usize = 4096;

/// Pieces of one line at most: the rest of a longer text is told nowhere. A line of a recording is
/// at most a megabyte.
pub const PIECES_MAX: u32 = 1024;

/// Where a line is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Commands,
    Files,
    Forwards,
    Screen,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Commands, Self::Files, Self::Forwards, Self::Screen];

    /// The word for people, which is the table's name as well.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Files => "files",
            Self::Forwards => "forwards",
            Self::Screen => "screen",
        }
    }
}

/// A line, masked by whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub class: Class,
    /// The event that it came from, and which of its lines it is.
    pub seq: u64,
    pub nth: u32,
    /// Since the session started.
    pub at: Duration,
    pub channel: Option<u32>,
    /// It was asked for as an exec: the channel's exit status is its own.
    pub is_exec: bool,
    pub exit: Option<i64>,
    pub confidence: Option<Confidence>,
    pub text: String,
}

impl Line {
    /// The line, or the pieces that a long one becomes.
    pub fn pieces(self) -> Vec<Self> {
        if self.text.len() <= TEXT_BYTES_MAX {
            return vec![self];
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut nth = self.nth;
        while let Some(rest) = self.text.get(from..) {
            let length = boundary(rest, TEXT_BYTES_MAX);
            pieces.push(Self {
                text: rest.get(..length).unwrap_or_default().to_owned(),
                nth,
                ..self.clone()
            });
            if length == rest.len() {
                break;
            }
            nth += 1;
            from += boundary(rest, length - PHRASE_BYTES_MAX);
        }
        pieces
    }
}

/// The last character's end at or before that place.
fn boundary(text: &str, bytes: usize) -> usize {
    let mut at = bytes.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Whose session it is, where and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub identity: Option<String>,
    pub target: Option<String>,
    pub started: DateTime<Utc>,
}

/// What an event, or a piece of a screen, says to the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Start(Start),
    Line(Line),
    /// The command that was asked for on this channel ended so.
    Exit {
        channel: u32,
        status: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_phrase_of_a_long_line_is_whole_in_one_of_its_pieces() {
        let text: String = (0..3000).map(|n| format!("ü{n} ")).collect();
        let line = Line {
            class: Class::Commands,
            seq: 1,
            nth: 0,
            at: Duration::ZERO,
            channel: None,
            is_exec: false,
            exit: None,
            confidence: None,
            text: text.clone(),
        };
        let pieces = line.pieces();
        assert!(pieces.len() > 3);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.text.len() <= TEXT_BYTES_MAX)
        );
        let nths: Vec<u32> = pieces.iter().map(|piece| piece.nth).collect();
        assert!(nths.is_sorted_by(|a, b| a < b));
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for at in starts.iter().step_by(101) {
            let end = boundary(&text, at + PHRASE_BYTES_MAX);
            let phrase = &text[*at..end];
            assert!(
                pieces.iter().any(|piece| piece.text.contains(phrase)),
                "{at}"
            );
        }
    }
}
