//! Pictures of the screens that are kept on the way, so that going back does not begin at the start.

use super::event::Event;
use super::stage::Stage;
use crate::replay::open::{Error, Place};
use crate::replay::screen::Saved;
use std::time::Duration;
use tokio::sync::mpsc;

/// What pictures may take; then every second one goes.
const BYTES_MAX: usize = 32 * 1024 * 1024; // 32 MiB
/// Events between two looks at whether anybody still wants the exact picture.
const LOOK_EVENTS: usize = 256;

/// The screens before the line at `place`.
#[derive(Clone, Debug)]
pub struct Keyframe {
    pub(super) at: Duration,
    pub(super) place: Place,
    pub(super) screens: Saved,
    pub(super) damage: Option<String>,
}

impl Keyframe {
    pub fn place(&self) -> Place {
        self.place
    }
}

#[derive(Debug, Default)]
pub(super) struct Frames {
    /// By place.
    kept: Vec<Keyframe>,
    bytes: usize,
}

impl Frames {
    pub(super) fn keep(&mut self, frame: Keyframe) {
        let Err(at) = self
            .kept
            .binary_search_by_key(&frame.place, |kept| kept.place)
        else {
            return;
        };
        self.bytes += frame.screens.bytes();
        self.kept.insert(at, frame);
        if self.bytes > BYTES_MAX {
            let mut odd = false;
            self.kept.retain(|_| {
                odd = !odd;
                odd
            });
            self.bytes = self.kept.iter().map(|kept| kept.screens.bytes()).sum();
        }
    }

    pub(super) fn at(&self, place: Place) -> Option<&Keyframe> {
        let at = self.kept.binary_search_by_key(&place, |kept| kept.place);
        self.kept.get(at.ok()?)
    }

    /// The last picture that is not behind `place`.
    pub(super) fn until(&self, place: Place) -> Option<&Keyframe> {
        let end = self.kept.partition_point(|kept| kept.place <= place);
        self.kept.get(..end)?.last()
    }

    /// The last picture that is not after `at`: all before it is on it, and nothing of later.
    pub(super) fn before(&self, at: Duration) -> Option<&Keyframe> {
        let end = self.kept.partition_point(|kept| kept.at <= at);
        self.kept.get(..end)?.last()
    }
}

/// How far the exact picture is, or that it is there.
#[derive(Debug)]
pub struct Exact {
    pub frame: Keyframe,
    pub is_last: bool,
}

/// Plays a recording up to `until` as fast as it goes, and gives the pictures on the way. Blocking:
/// for a thread of its own, which ends when nobody listens.
///
/// # Errors
/// When the recording cannot be read.
pub fn exact(
    tape: impl Iterator<Item = Result<Event, Error>>,
    from: Option<Keyframe>,
    until: Place,
    to: &mpsc::Sender<Exact>,
) -> Result<(), Error> {
    let mut stage = from.as_ref().map(Stage::at).unwrap_or_default();
    for (number, event) in tape.enumerate() {
        let event: Event = event?;
        let is_last = event.place >= until;
        let frame = match is_last {
            true => stage.frame(&event),
            false => stage.due(&event),
        };
        if let Some(frame) = frame
            && to.blocking_send(Exact { frame, is_last }).is_err()
        {
            return Ok(());
        }
        // In the midst of an escape sequence there is no picture: the next line has one.
        if is_last && stage.screens.save().is_some() {
            return Ok(());
        }
        if number % LOOK_EVENTS == 0 && to.is_closed() {
            return Ok(());
        }
        stage.apply(event);
    }
    Ok(())
}
