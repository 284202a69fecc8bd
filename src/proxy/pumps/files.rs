//! The files of a channel, told beside its path: what passes is read here before it goes on, and
//! what it means is recorded in its place. A failure to read is an event, never an end.
//!
//! Where a right is for reading or writing only, and only there, requests go through a guard first,
//! and one that it cannot read ends the channel.

use crate::event::{Direction, Entry};
use crate::id::ChannelId;
use crate::inspect::files::{Files, Finding, Guard};
use crate::proxy::start::Want;
use crate::proxy::tap::Tap;
use crate::proxy::target::side::Leg;
use bytes::Bytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) struct FileWatch {
    channel: ChannelId,
    /// `None` where no files can pass.
    files: Option<Mutex<Files>>,
    guard: Option<Mutex<Guard>>,
}

/// What becomes of a piece of input.
pub(crate) struct Passed {
    pub(crate) told: Vec<Entry>,
    pub(crate) forward: Bytes,
    /// Whole answers of the bastion.
    pub(crate) answers: Bytes,
    pub(crate) stop: bool,
}

impl FileWatch {
    pub(crate) fn new(channel: ChannelId, leg: &Leg, terminal: bool) -> Self {
        let files = match &leg.want {
            Want::Subsystem(name) if name == "sftp" => Some(Files::sftp()),
            // A terminal changes bytes, and all of them are recorded.
            Want::Exec(command) if !terminal => Some(Files::of_command(command)),
            Want::Subsystem(_) | Want::Exec(_) | Want::Shell => None,
        };
        Self {
            channel,
            files: files.map(Mutex::new),
            guard: leg.only.map(Guard::new).map(Mutex::new),
        }
    }

    /// What the user sends. The entries are recorded before the bytes go on.
    pub(crate) fn input(&self, bytes: Bytes, tap: &Tap) -> Passed {
        let Some(guard) = &self.guard else {
            return Passed {
                told: self.entries(tap, |files| files.feed(Direction::Input, &bytes)),
                forward: bytes,
                answers: Bytes::new(),
                stop: false,
            };
        };
        let ruled = locked(guard).rule(&bytes);
        let mut told = self.recorded(tap, ruled.found);
        told.extend(self.entries(tap, |files| files.feed(Direction::Input, &ruled.forward)));
        Passed {
            told,
            forward: ruled.forward.into(),
            answers: ruled.answers.into(),
            stop: ruled.stop,
        }
    }

    /// What the target sends.
    pub(crate) fn output(&self, stderr: bool, bytes: &[u8], tap: &Tap) -> Vec<Entry> {
        let direction = if stderr {
            Direction::Stderr
        } else {
            Direction::Output
        };
        self.entries(tap, |files| files.feed(direction, bytes))
    }

    /// Where in the target's bytes an answer of the bastion may stand last; always asked, so that the
    /// guard knows where it is. The entry says why the channel must end.
    pub(crate) fn boundary(&self, bytes: &[u8], tap: &Tap) -> Result<Option<usize>, Box<Entry>> {
        let Some(guard) = &self.guard else {
            return Ok(None);
        };
        let at = locked(guard).boundary(bytes);
        at.map_err(|found| Box::new(tap.on(self.channel, found.kind, found.outcome)))
    }

    pub(crate) fn is_between(&self) -> bool {
        let guard = self.guard.as_ref();
        guard.is_some_and(|guard| locked(guard).is_between())
    }

    /// At the end of the channel: what was still open.
    pub(crate) fn finish(&self, tap: &Tap) -> Vec<Entry> {
        self.entries(tap, Files::finish)
    }

    fn entries(&self, tap: &Tap, ask: impl FnOnce(&mut Files) -> Vec<Finding>) -> Vec<Entry> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let found = ask(&mut locked(files));
        self.recorded(tap, found)
    }

    fn recorded(&self, tap: &Tap, found: Vec<Finding>) -> Vec<Entry> {
        found
            .into_iter()
            .map(|found| tap.on(self.channel, found.kind, found.outcome))
            .collect()
    }
}

/// Held for a computation, never over an await.
fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
