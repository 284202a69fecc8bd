//! Moments of a recording, as far as the player needs them.

use crate::event::Kind;
use crate::id::SessionId;
use crate::replay::line::{Line, What};
use crate::replay::open::{Archive, Error, Events, Place, Step};
use std::time::Duration;

/// The number of what is in no chunk yet: it is never read from there.
pub(super) const LIVE: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub struct Event {
    pub(super) at: Duration,
    pub(super) place: Place,
    pub(super) channel: u32,
    pub(super) act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Text(String),
    Open {
        cols: u32,
        rows: u32,
    },
    Resize {
        cols: u32,
        rows: u32,
    },
    Damage(String),
    /// Bytes that a viewer who could not follow did not get.
    Skipped(u64),
    Nothing,
}

impl Event {
    pub(super) fn of(line: Line, chunk: u32, last: Duration) -> Self {
        let act = match line.what {
            What::Output { text, .. } | What::Notice { text } => Act::Text(text),
            What::Resize { cols, rows } => Act::Resize { cols, rows },
            What::Audit(audit) => act_of(&audit.kind),
            What::Input { .. } | What::Progress { .. } | What::Commit | What::Unknown => {
                Act::Nothing
            }
        };
        Self {
            at: line.mt.max(last),
            place: Place {
                chunk,
                seq: line.seq.0,
            },
            channel: line.channel.unwrap_or(0),
            act,
        }
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// It makes or changes a terminal.
    pub fn is_size(&self) -> bool {
        matches!(self.act, Act::Open { .. } | Act::Resize { .. })
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most kinds change nothing on a screen, and a new one does not either until it says so"
)]
pub(super) fn act_of(kind: &Kind) -> Act {
    match kind {
        Kind::Pty(pty) => Act::Open {
            cols: pty.cols,
            rows: pty.rows,
        },
        _ => Act::Nothing,
    }
}

/// A recording as events, from a place on. Blocking: run it through [`crate::replay::feed`].
pub struct Tape {
    events: Events,
    last: Duration,
    place: Place,
    until: u64,
}

impl Tape {
    /// # Errors
    /// When the recording is missing or its directory cannot be read.
    pub fn open(archive: &Archive, id: SessionId, ended: bool, from: Place) -> Result<Self, Error> {
        Ok(Self {
            events: archive.events_from(id, from)?.of_ended(ended),
            last: Duration::ZERO,
            place: from,
            until: u64::MAX,
        })
    }

    /// Only lines before this number.
    #[must_use]
    pub fn until(mut self, seq: u64) -> Self {
        self.until = seq;
        self
    }
}

impl Iterator for Tape {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let event = match self.events.next()? {
            Ok(Step::Line(line)) => Event::of(*line, self.events.chunk(), self.last),
            // Damage has no time of its own: it comes with the line before it.
            Ok(Step::Damage(damage)) => Event {
                at: self.last,
                place: self.place,
                channel: 0,
                act: Act::Damage(damage.to_string()),
            },
            Err(error) => return Some(Err(error)),
        };
        if event.place.seq >= self.until {
            return None;
        }
        self.last = event.at;
        self.place = event.place;
        Some(Ok(event))
    }
}
