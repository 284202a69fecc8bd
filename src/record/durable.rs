//! One `fdatasync` for all sessions, in a thread of its own: what it returned for is durable.

use super::journal::{Journal, State};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Power loss costs at most this, and what is written meanwhile.
const SYNC_EVERY: Duration = Duration::from_millis(50);
/// ... or this many bytes.
const SYNC_BYTES: u64 = 8 * 1024 * 1024; // 8 MiB
/// Behind everybody who forwards bytes: appends under a flood are ten times as even.
const NICE: i32 = 10;

impl Journal {
    pub(crate) fn run_sync(&self) {
        super::recorder::be_nice(NICE);
        loop {
            let mut state = self.lock();
            if state.stopping && state.is_settled() {
                return;
            }
            let due = state.sync_now || state.unsynced_bytes >= SYNC_BYTES;
            if !due {
                let woken = self.wake_sync.wait_timeout(state, SYNC_EVERY);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.sync_now = false;
            if state.poisoned.is_some() {
                // The writer replaces the segment, and syncs what it wrote.
                let woken = self.wake_sync.wait_timeout(state, SYNC_EVERY);
                drop(woken.unwrap_or_else(PoisonError::into_inner));
            } else if !state.unsynced.is_empty() {
                drop(state);
                self.sync();
            }
        }
    }

    /// The old segments before the new one.
    fn sync(&self) {
        let mut state = self.lock();
        let (count, generation) = (state.unsynced.len(), state.generation);
        let mut segments = state.retired.clone();
        segments.push(Arc::clone(&state.segment));
        state.sync_since = Some(self.clock.monotonic());
        drop(state);
        let result = segments.iter().try_for_each(|segment| segment.sync());
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.sync_since = None;
        if state.generation != generation {
            return;
        }
        match result {
            Ok(()) => {
                let synced =
                    |segment: &Arc<_>| segments.iter().any(|done| Arc::ptr_eq(done, segment));
                state.retired.retain(|segment| !synced(segment));
                self.settle(&mut state, count, now);
            }
            Err(error) => {
                state.poison("sync", &error, now);
                self.wake_writer.notify_one();
            }
        }
    }

    /// The first `count` records that waited are durable.
    pub(crate) fn settle(&self, state: &mut State, count: usize, now: Duration) {
        let done: Vec<_> = state.unsynced.drain(..count).collect();
        let bytes: u64 = done.iter().map(|encoded| encoded.len() as u64).sum();
        state.unsynced_bytes = state.unsynced_bytes.saturating_sub(bytes);
        state.unsynced_since = (!state.unsynced.is_empty()).then_some(now);
        self.durable.send_modify(|durable| *durable += count as u64);
        self.wake_writer.notify_one();
    }
}

impl State {
    /// Nothing is left to sync, or nothing can be.
    fn is_settled(&self) -> bool {
        self.lost.is_some() || (self.closed && self.unsynced.is_empty())
    }
}
