//! Keeps segments ready, so that going on in the next one costs the writer nothing. A niced thread
//! writes the zeros. Used segments are removed and never taken again: no old bytes, nobody's
//! secrets, in a new one.

use super::Error;
use super::file::Segment;
use super::journal::{Journal, epoch};
use std::sync::PoisonError;
use std::time::Duration;

/// One to go on in, and one in reserve: with the last one the sessions end in order.
const READY: usize = 2;
const NICE: i32 = 19;
const RETRY: Duration = Duration::from_millis(500);

impl Journal {
    /// From now on segments are prepared ahead.
    pub(crate) fn prepare(&self) {
        let mut state = self.lock();
        if !state.prepares {
            state.prepares = true;
            drop(state);
            self.wake_preparer.notify_one();
        }
    }

    pub(crate) fn run_preparer(&self) {
        super::recorder::be_nice(NICE);
        loop {
            let mut state = self.lock();
            while !state.stopping && (!state.prepares || state.ready.len() >= READY) {
                let woken = self.wake_preparer.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            let number = state.next_number;
            state.next_number += 1;
            drop(state);
            let epoch = epoch(&self.clock, number);
            let made = Segment::create(&self.dir, number, epoch, self.segment_bytes);
            let mut state = self.lock();
            match made {
                // The writer may have made a later one meanwhile.
                Ok(segment) if state.stopping => state.unused.push(segment.path),
                Ok(segment) => {
                    state.ready.push_back(segment);
                    state.prepare_error = None;
                }
                Err(error) => {
                    let error = Error::io("make a journal segment in", &self.dir, &error);
                    tracing::error!(%error, ready = state.ready.len(), "no further segment");
                    state.prepare_error = Some(error);
                    let woken = self.wake_preparer.wait_timeout(state, RETRY);
                    drop(woken.unwrap_or_else(PoisonError::into_inner));
                }
            }
            self.wake_writer.notify_one();
        }
    }

    /// At the end the writer makes its own.
    pub(crate) fn prepare_last(&self) -> Result<Segment, Error> {
        let number = {
            let mut state = self.lock();
            state.next_number += 1;
            state.next_number - 1
        };
        let epoch = epoch(&self.clock, number);
        Segment::create(&self.dir, number, epoch, self.segment_bytes)
            .map_err(|error| Error::io("make a journal segment in", &self.dir, &error))
    }

    /// Removes the segments that were never used.
    pub(crate) fn tidy_up(&self) {
        let mut state = self.lock();
        let ready = std::mem::take(&mut state.ready);
        let unused = std::mem::take(&mut state.unused);
        drop(state);
        for path in ready.into_iter().map(|segment| segment.path).chain(unused) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(%error, "an unused segment stays; the next start removes it");
            }
        }
    }
}
