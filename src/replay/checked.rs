//! The lines of a recording as they are, and beside them what is wrong with them.

use super::open::{Archive, Damage, Error, Events, Piece, Problem};
use crate::id::SessionId;

/// See [`Archive::checked`]. Blocking: run it through [`super::feed`].
pub struct Checked {
    events: Events,
    /// A line whose remark went before it.
    held: Option<Vec<u8>>,
    /// What a newer version promises of its lines is not known.
    newer: bool,
}

/// What is wrong goes before the line that showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Byte for byte without its line end.
    Line(Vec<u8>),
    Damage(String),
    /// What follows is of a newer version. Said once.
    Newer(String),
}

impl Archive {
    /// The raw lines of a session, with the remarks that [`Archive::events`] would make.
    pub fn checked(&self, id: SessionId) -> Result<Checked, Error> {
        let events = self.events(id)?;
        Ok(Checked {
            events,
            held: None,
            newer: false,
        })
    }
}

impl Checked {
    /// As [`super::Lines::of_ended`].
    #[must_use]
    pub fn of_ended(mut self, has_ended: bool) -> Self {
        self.events = self.events.of_ended(has_ended);
        self
    }
}

impl Iterator for Checked {
    type Item = Raw;

    fn next(&mut self) -> Option<Raw> {
        if let Some(line) = self.held.take() {
            return Some(Raw::Line(line));
        }
        let (piece, wrong) = self.events.as_it_is()?;
        let line = match piece {
            Piece::Damage(damage) => return Some(Raw::Damage(damage.to_string())),
            Piece::Line(line) => line,
        };
        let remark = match wrong {
            Some(_) if self.newer => None,
            Some(Ok(damage)) => Some(Raw::Damage(of_kept(&damage))),
            Some(Err(error)) => {
                self.newer = true;
                Some(Raw::Newer(format!(
                    "{error}; from there on its lines are given as they are, unchecked"
                )))
            }
            None => None,
        };
        let Some(remark) = remark else {
            return Some(Raw::Line(line));
        };
        self.held = Some(line);
        Some(remark)
    }
}

/// As the damage says it, of a line that is not skipped.
fn of_kept(damage: &Damage) -> String {
    let chunk = damage.chunk;
    match &damage.problem {
        Problem::NotAnEvent { message } => {
            format!("chunk {chunk:06}: a line is not an event: {message}")
        }
        Problem::Foreign { other } => {
            format!("chunk {chunk:06}: a line belongs to session {other}")
        }
        Problem::Disorder { seq } => {
            format!("chunk {chunk:06}: event {seq} comes again or out of order")
        }
        Problem::Missing
        | Problem::Cut
        | Problem::Encrypted
        | Problem::Unreadable { .. }
        | Problem::Torn { .. }
        | Problem::TooLong { .. }
        | Problem::Gap { .. } => damage.to_string(),
    }
}
