//! The journal's writer thread: takes all that waits and writes it at once; goes on in the next
//! segment when one is full; replaces one that failed.

use super::Error;
use super::file::Segment;
use super::journal::{Journal, State, Waiting};
use super::segment::{Encoded, HEADER_BYTES};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// One write, at most: sync and chunker follow behind.
const BATCH_BYTES: usize = 4 * 1024 * 1024; // 4 MiB
/// The writer looks again, should nobody wake it.
const LOOK: Duration = Duration::from_millis(50);

type Guard<'a> = MutexGuard<'a, State>;

impl Journal {
    pub(crate) fn run_writer(&self) {
        let mut state = self.lock();
        loop {
            state = if state.busy {
                self.wait(state)
            } else if state.poisoned.is_some() {
                self.replace(state)
            } else if !state.pending.is_empty() {
                self.write_pending(state)
            } else if state.stopping {
                state.closed = true;
                return;
            } else {
                self.wait(state)
            };
            if state.lost.is_some() {
                return;
            }
        }
    }

    fn wait<'a>(&self, state: Guard<'a>) -> Guard<'a> {
        let woken = self.wake_writer.wait_timeout(state, LOOK);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn write_pending<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let first = state.pending.front();
        let length = first.map_or(0, |first| first.encoded.len() as u64);
        if !state.fits(length) {
            let Some(next) = state.ready.pop_front() else {
                return self.wait_for_segment(state);
            };
            let old = std::mem::replace(&mut state.segment, Arc::new(next));
            state.retired.push(old);
            state.end = HEADER_BYTES;
            state.written = HEADER_BYTES;
            state.trouble_since = None;
            self.wake_preparer.notify_one();
        }
        if state.unsynced_bytes + length > self.unsynced_max() {
            state.sync_now = true;
            self.wake_sync.notify_one();
            return self.wait(state);
        }
        self.write_batch(state)
    }

    fn write_batch<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let room =
            (state.segment.bytes - state.end).min(self.unsynced_max() - state.unsynced_bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(BATCH_BYTES);
        let (mut bytes, mut batch, mut waiters) = (Vec::new(), Vec::new(), Vec::new());
        let (mut seq, epoch) = (state.seq, state.segment.epoch);
        while let Some(next) = state.pending.front() {
            if !batch.is_empty() && bytes.len() + next.encoded.len() > room {
                break;
            }
            let Some(Waiting {
                mut encoded,
                waiter,
                held,
            }) = state.pending.pop_front()
            else {
                break;
            };
            encoded.place(seq, epoch);
            seq += 1;
            bytes.extend_from_slice(encoded.bytes());
            batch.push(encoded);
            waiters.push((waiter, held));
        }
        let count = batch.len() as u64;
        let first = state.seq;
        let now = self.clock.monotonic();
        let (segment, at) = state.begin_write(count, bytes.len() as u64, now);
        drop(state);
        let result = segment.write_at(&bytes, at);
        match self.end_write(result, at, batch) {
            Ok(()) => {
                for (seq, (waiter, _held)) in (first..).zip(waiters) {
                    // Whoever waited may be gone; the record is written all the same.
                    if waiter.is_some_and(|waiter| waiter.send(Ok(seq)).is_err()) {
                        tracing::trace!("nobody waits for this record any more");
                    }
                }
                self.lock()
            }
            Err(batch) => {
                let mut state = self.lock();
                for (encoded, (waiter, held)) in batch.into_iter().zip(waiters).rev() {
                    state.pending.push_front(Waiting {
                        encoded,
                        waiter,
                        held,
                    });
                }
                state
            }
        }
    }

    /// None is ready: records wait, and the watchdog sees for how long. At the end nobody else makes
    /// one any more.
    fn wait_for_segment<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        if !state.stopping {
            state.trouble_since.get_or_insert(self.clock.monotonic());
            state.prepares = true;
            self.wake_preparer.notify_one();
            return self.wait(state);
        }
        drop(state);
        let made = self.prepare_last();
        let mut state = self.lock();
        match made {
            Ok(segment) => state.ready.push_back(segment),
            Err(error) => give_up(&mut state, &error),
        }
        state
    }

    /// Everything that is not durable goes to a new segment, the first of it last: until that one
    /// stands there the old segment counts, so a crash at any moment finds the one or the other.
    fn replace<'a>(&'a self, mut state: Guard<'a>) -> Guard<'a> {
        let Some(next) = state.ready.pop_front() else {
            return self.wait_for_segment(state);
        };
        state.generation += 1;
        state.busy = true;
        state.write_since = Some(self.clock.monotonic());
        let mut records = std::mem::take(&mut state.unsynced);
        drop(state);
        let result = rewrite(&next, &mut records);
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.busy = false;
        state.write_since = None;
        state.unsynced = records;
        match result {
            Ok(end) => {
                tracing::warn!(
                    segment = next.number,
                    "the journal goes on in a new segment"
                );
                state.segment = Arc::new(next);
                state.end = end;
                state.written = end;
                state.retired.clear();
                state.poisoned = None;
                state.trouble_since = None;
                state.replaced += 1;
                let all = state.unsynced.len();
                self.settle(&mut state, all, now);
            }
            Err(error) => {
                // Its number is spent: it stays behind without a first record, which is none.
                let error = Error::io("write to", &next.path, &error);
                tracing::error!(%error, "the new segment failed as well");
                state.poisoned = Some(error);
                state = self.wait(state);
            }
        }
        self.wake_preparer.notify_one();
        self.wake_sync.notify_one();
        state
    }
}

fn rewrite(next: &Segment, records: &mut VecDeque<Encoded>) -> io::Result<u64> {
    let mut bytes = Vec::new();
    for record in records.iter_mut() {
        record.place_again(next.epoch);
    }
    for record in records.iter() {
        bytes.extend_from_slice(record.bytes());
    }
    let first = records.front().map_or(0, Encoded::len);
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    next.write_at(rest, HEADER_BYTES + head.len() as u64)?;
    next.sync()?;
    next.write_at(head, HEADER_BYTES)?;
    next.sync()?;
    Ok(HEADER_BYTES + bytes.len() as u64)
}

/// Stopped, and no disk: whoever waits is told so.
fn give_up(state: &mut State, error: &Error) {
    let records = state.pending.len() + state.unsynced.len();
    tracing::error!(%error, records, "stopped with records that no segment took");
    state.lost = Some(error.clone());
    state.closed = true;
    for waiting in std::mem::take(&mut state.pending) {
        let told = waiting.waiter.map(|waiter| waiter.send(Err(error.clone())));
        tracing::trace!(?told, "not recorded");
    }
}
