//! One recording of an export: a session, or the part of a node's own events that is asked for.

use super::Format;
use crate::id::SessionId;
use crate::replay::line::Line;
use chrono::{DateTime, Utc};

#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub id: SessionId,
    pub of: Of,
}

#[derive(Clone, Copy, Debug)]
pub enum Of {
    Session {
        /// Then a recording without its end is damaged.
        ended: bool,
    },
    /// Events from `since` up to, without, `until`.
    Node {
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    },
}

impl Stream {
    pub(super) fn has_ended(&self) -> bool {
        match self.of {
            Of::Session { ended } => ended,
            Of::Node { .. } => false,
        }
    }

    pub(super) fn has(&self, time: DateTime<Utc>) -> bool {
        match self.of {
            Of::Session { .. } => true,
            Of::Node { since, until } => {
                since.is_none_or(|since| since <= time) && until.is_none_or(|until| time < until)
            }
        }
    }

    /// What cannot be read has no time, and goes along.
    pub(super) fn has_line(&self, line: &[u8]) -> bool {
        match self.of {
            Of::Session { .. }
            | Of::Node {
                since: None,
                until: None,
            } => true,
            Of::Node { .. } => Line::parse(line).map_or(true, |line| self.has(line.ts)),
        }
    }

    pub(super) fn file_name(&self, format: Format) -> String {
        let (id, extension) = (self.id, format.extension());
        match self.of {
            Of::Session { .. } => format!("{id}.{extension}"),
            Of::Node { .. } => format!("node-{id}.{extension}"),
        }
    }
}
