//! The node's journal: a record is in it when `append` returned, and only then may its bytes go on.
//!
//! Inline when the file is free and healthy, else through the writer thread (writer.rs): a healthy
//! append costs a write into a page that is hot, a sick disk makes sessions wait and not the runtime.
//! durable.rs syncs, prepare.rs keeps segments ready (docs/recording-format.md "Journal").

use super::Error;
use super::file::Segment;
use super::segment::{Encoded, HEADER_BYTES, RECORD_BYTES_MAX};
use crate::clock::Clock;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Larger appends go to the thread on purpose.
const INLINE_BYTES_MAX: usize = 40 * 1024;
/// 50 us misfires: a healthy write on an idle core takes 60.
const SLOW: Duration = Duration::from_millis(2);
/// Appends that go to the thread after a slow one.
pub(crate) const SLOW_APPENDS: u32 = 4;
/// How often an append looks again while another one writes, and how long it spins in between: some
/// tens of microseconds in all.
const SPINS: u32 = 100;
const SPIN_LOOPS: u32 = 16;
/// In memory for one session, waiting for the writer.
pub(crate) const SESSION_BYTES: usize = 256 * 1024; // 256 KiB
/// The same over all sessions.
const NODE_BYTES: usize = 32 * 1024 * 1024; // 32 MiB
/// Kept in memory until the disk has them for certain; never more than fits into one segment.
const UNSYNCED_BYTES: u64 = 64 * 1024 * 1024; // 64 MiB
/// `append` waits this long; a journal that stands still for this long ends sessions.
pub(crate) const STUCK: Duration = Duration::from_secs(10);

/// The record's number, or why it has none.
pub(crate) type Written = Result<u64, Error>;

/// Bytes of the bounds, held until the record is written: the session's and the node's.
pub(crate) type Held = (OwnedSemaphorePermit, OwnedSemaphorePermit);

pub(crate) struct Waiting {
    pub(crate) encoded: Encoded,
    pub(crate) waiter: Option<oneshot::Sender<Written>>,
    pub(crate) held: Option<Held>,
}

pub(crate) struct State {
    pub(crate) segment: Arc<Segment>,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// Everything before this is written: what the chunker may read.
    pub(crate) written: u64,
    pub(crate) seq: u64,
    /// A write is in flight; there is at most one.
    pub(crate) busy: bool,
    pub(crate) pending: VecDeque<Waiting>,
    /// Written, and not yet durable: what a new segment gets when this one fails.
    pub(crate) unsynced: VecDeque<Encoded>,
    pub(crate) unsynced_bytes: u64,
    /// Left behind, and not yet synced.
    pub(crate) retired: Vec<Arc<Segment>>,
    /// Goes on when a segment is replaced: a sync that began before says nothing any more.
    pub(crate) generation: u64,
    /// A write or a sync failed: the segment takes no more records.
    pub(crate) poisoned: Option<Error>,
    pub(crate) ready: VecDeque<Segment>,
    pub(crate) next_number: u64,
    pub(crate) unused: Vec<PathBuf>,
    /// Segments are prepared only once somebody needs them: a single event of the node does not.
    pub(crate) prepares: bool,
    pub(crate) prepare_error: Option<Error>,
    pub(crate) sync_now: bool,
    slow_left: u32,
    slow_writes: u64,
    pub(crate) replaced: u64,
    /// Since when, monotonic: a write is in flight, a sync runs, a record waits for a sync, no
    /// segment takes records.
    pub(crate) write_since: Option<Duration>,
    pub(crate) sync_since: Option<Duration>,
    pub(crate) unsynced_since: Option<Duration>,
    pub(crate) trouble_since: Option<Duration>,
    pub(crate) stopping: bool,
    /// The writer has ended: nothing is taken any more.
    pub(crate) closed: bool,
    /// Stopped with records that no segment took.
    pub(crate) lost: Option<Error>,
}

pub(crate) struct Journal {
    pub(crate) dir: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    pub(crate) wake_writer: Condvar,
    pub(crate) wake_sync: Condvar,
    pub(crate) wake_preparer: Condvar,
    /// Records with a smaller number are durable.
    pub(crate) durable: watch::Sender<u64>,
    room: Arc<Semaphore>,
}

/// How the journal does.
pub(crate) struct Health {
    /// The write that is in flight, and the oldest record that is not durable.
    pub(crate) write_age: Duration,
    pub(crate) sync_age: Duration,
    /// How long no segment has taken records, and why.
    pub(crate) trouble_age: Duration,
    pub(crate) trouble: Option<Error>,
    pub(crate) ready: usize,
    pub(crate) prepare_error: Option<Error>,
    pub(crate) unsynced_bytes: u64,
    pub(crate) slow_writes: u64,
    pub(crate) replaced: u64,
}

enum Now {
    Written(u64),
    Later(Encoded),
}

impl Journal {
    /// Makes the first segment, numbered after whatever recovery left.
    pub(crate) fn open(
        dir: PathBuf,
        segment_bytes: u64,
        number: u64,
        clock: Clock,
    ) -> io::Result<Arc<Self>> {
        let epoch = epoch(&clock, number);
        let segment = Segment::create(&dir, number, epoch, segment_bytes)?;
        Ok(Arc::new(Self {
            dir,
            segment_bytes,
            clock,
            state: Mutex::new(State::new(segment)),
            wake_writer: Condvar::new(),
            wake_sync: Condvar::new(),
            wake_preparer: Condvar::new(),
            durable: watch::Sender::new(0),
            room: Arc::new(Semaphore::new(NODE_BYTES)),
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the record's number when it is written. `session` bounds what one session may have in
    /// memory. Dropping the future is safe: the record may be written, and nothing was forwarded.
    pub(crate) async fn append(&self, encoded: Encoded, session: &Arc<Semaphore>) -> Written {
        match self.append_now(encoded)? {
            Now::Written(seq) => Ok(seq),
            Now::Later(encoded) => {
                let waits = self.append_later(encoded, session);
                let done = tokio::time::timeout(STUCK, waits).await;
                done.unwrap_or_else(|_| Err(self.why_stuck()))
            }
        }
    }

    /// As `append`, for what a session has to say at its end: it does not stand behind the session's
    /// own bound, and is a few records a session.
    pub(crate) async fn append_last(&self, encoded: Encoded) -> Written {
        let written = self.queue(encoded, None)?;
        let done = tokio::time::timeout(STUCK, written).await;
        match done {
            Ok(written) => written.map_err(|_| Error::Stopped)?,
            Err(_) => Err(self.why_stuck()),
        }
    }

    /// A record nobody waits for: the recorder's own, a handful a session and a node.
    pub(crate) fn push(&self, encoded: Encoded) {
        if let Err(error) = self.queue(encoded, None) {
            tracing::error!(%error, "an event of the node itself was not recorded");
        }
    }

    /// Waits until the disk has record `seq` for certain.
    pub(crate) async fn wait_durable(&self, seq: u64) -> Result<(), Error> {
        let mut durable = self.durable.subscribe();
        if *durable.borrow_and_update() > seq {
            return Ok(());
        }
        self.lock().sync_now = true;
        self.wake_sync.notify_one();
        let waits = durable.wait_for(|durable| *durable > seq);
        match tokio::time::timeout(STUCK, waits).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(self.why_stuck()),
        }
    }

    /// Somebody else's healthy write is over in a moment, and waking a thread costs more than that.
    /// Nobody spins behind a queue: whoever waits there was first.
    fn lock_when_free(&self) -> MutexGuard<'_, State> {
        for _ in 0..SPINS {
            let state = self.lock();
            if !state.busy || !state.pending.is_empty() || state.slow_left > 0 {
                return state;
            }
            drop(state);
            for _ in 0..SPIN_LOOPS {
                std::hint::spin_loop();
            }
        }
        self.lock()
    }

    /// The inline way: only when nothing waits before it.
    fn append_now(&self, mut encoded: Encoded) -> Result<Now, Error> {
        self.check_length(&encoded)?;
        let length = encoded.len() as u64;
        let mut state = self.lock_when_free();
        if state.stopping {
            return Err(Error::Stopped);
        }
        let inline = state.is_free()
            && state.pending.is_empty()
            && state.slow_left == 0
            && encoded.len() <= INLINE_BYTES_MAX
            && state.fits(length)
            && state.unsynced_bytes + length <= self.unsynced_max();
        if !inline {
            state.slow_left = state.slow_left.saturating_sub(1);
            return Ok(Now::Later(encoded));
        }
        let seq = state.seq;
        encoded.place(seq, state.segment.epoch);
        let (segment, at) = state.begin_write(1, length, self.clock.monotonic());
        drop(state);
        let result = segment.write_at(encoded.bytes(), at);
        match self.end_write(result, at, [encoded]) {
            Ok(()) => Ok(Now::Written(seq)),
            Err(back) => Ok(back
                .into_iter()
                .next()
                .map_or(Now::Written(seq), Now::Later)),
        }
    }

    async fn append_later(&self, encoded: Encoded, session: &Arc<Semaphore>) -> Written {
        let share = |most: usize| u32::try_from(encoded.len().min(most)).unwrap_or(u32::MAX);
        let acquire = |of: &Arc<Semaphore>, bytes| Arc::clone(of).acquire_many_owned(bytes);
        let own = acquire(session, share(SESSION_BYTES)).await;
        let node = acquire(&self.room, share(NODE_BYTES)).await;
        let held = (
            own.map_err(|_| Error::Stopped)?,
            node.map_err(|_| Error::Stopped)?,
        );
        let written = self.queue(encoded, Some(held))?;
        written.await.map_err(|_| Error::Stopped)?
    }

    fn queue(
        &self,
        encoded: Encoded,
        held: Option<Held>,
    ) -> Result<oneshot::Receiver<Written>, Error> {
        self.check_length(&encoded)?;
        let (waiter, written) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Stopped);
        }
        state.pending.push_back(Waiting {
            encoded,
            waiter: Some(waiter),
            held,
        });
        drop(state);
        self.wake_writer.notify_one();
        Ok(written)
    }

    fn check_length(&self, encoded: &Encoded) -> Result<(), Error> {
        let room = usize::try_from(self.segment_bytes - HEADER_BYTES).unwrap_or(usize::MAX);
        if encoded.len() > room.min(RECORD_BYTES_MAX) {
            return Err(Error::TooLong {
                bytes: encoded.len(),
            });
        }
        Ok(())
    }

    pub(crate) fn unsynced_max(&self) -> u64 {
        UNSYNCED_BYTES.min(self.segment_bytes - HEADER_BYTES)
    }

    /// After a write: what it wrote is kept until it is durable, or given back when it failed, with
    /// its numbers free again.
    pub(crate) fn end_write<B>(&self, result: io::Result<()>, at: u64, batch: B) -> Result<(), B>
    where
        B: IntoIterator<Item = Encoded> + AsRef<[Encoded]>,
    {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let began = state.write_since.take().unwrap_or(now);
        state.busy = false;
        if now.saturating_sub(began) > SLOW {
            state.slow_left = SLOW_APPENDS;
            state.slow_writes += 1;
        }
        let done = match result {
            Ok(()) => {
                state.written = state.end;
                state.unsynced_since.get_or_insert(began);
                for encoded in batch {
                    state.unsynced_bytes += encoded.len() as u64;
                    state.unsynced.push_back(encoded);
                }
                Ok(())
            }
            Err(error) => {
                state.seq -= batch.as_ref().len() as u64;
                state.end = at;
                state.poison("write to", &error, now);
                Err(batch)
            }
        };
        let more = !state.pending.is_empty() || state.poisoned.is_some() || state.stopping;
        drop(state);
        if more {
            self.wake_writer.notify_one();
        }
        done
    }

    fn why_stuck(&self) -> Error {
        let state = self.lock();
        let known = state.poisoned.clone().or(state.prepare_error.clone());
        known.unwrap_or(Error::Slow(STUCK))
    }

    /// The segment being written, and how far the chunker may read it.
    pub(crate) fn readable(&self) -> (Arc<Segment>, u64) {
        let state = self.lock();
        (Arc::clone(&state.segment), state.written)
    }

    pub(crate) fn health(&self) -> Health {
        let now = self.clock.monotonic();
        let state = self.lock();
        let age = |since: Option<Duration>| now.saturating_sub(since.unwrap_or(now));
        Health {
            write_age: age(state.write_since),
            sync_age: age(state.unsynced_since).max(age(state.sync_since)),
            trouble_age: age(state.trouble_since),
            trouble: state.poisoned.clone().or(state.prepare_error.clone()),
            ready: state.ready.len(),
            prepare_error: state.prepare_error.clone(),
            unsynced_bytes: state.unsynced_bytes,
            slow_writes: state.slow_writes,
            replaced: state.replaced,
        }
    }

    /// The threads finish what is pending and return.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.wake_writer.notify_all();
        self.wake_sync.notify_all();
        self.wake_preparer.notify_all();
    }
}

impl State {
    fn new(segment: Segment) -> Self {
        Self {
            end: HEADER_BYTES,
            written: HEADER_BYTES,
            seq: 0,
            busy: false,
            pending: VecDeque::new(),
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            retired: Vec::new(),
            generation: 0,
            poisoned: None,
            ready: VecDeque::new(),
            next_number: segment.number + 1,
            unused: Vec::new(),
            prepares: false,
            prepare_error: None,
            sync_now: false,
            slow_left: 0,
            slow_writes: 0,
            replaced: 0,
            write_since: None,
            sync_since: None,
            unsynced_since: None,
            trouble_since: None,
            stopping: false,
            closed: false,
            lost: None,
            segment: Arc::new(segment),
        }
    }

    fn is_free(&self) -> bool {
        !self.busy && self.poisoned.is_none()
    }

    pub(crate) fn fits(&self, length: u64) -> bool {
        self.end + length <= self.segment.bytes
    }

    pub(crate) fn begin_write(
        &mut self,
        records: u64,
        length: u64,
        now: Duration,
    ) -> (Arc<Segment>, u64) {
        let at = self.end;
        self.seq += records;
        self.end += length;
        self.busy = true;
        self.write_since = Some(now);
        (Arc::clone(&self.segment), at)
    }

    /// A failed write or sync is never tried again on its segment: a later success proves nothing.
    pub(crate) fn poison(&mut self, doing: &'static str, error: &io::Error, now: Duration) {
        let error = Error::io(doing, &self.segment.path, error);
        tracing::error!(%error, "a journal segment failed: its records go to a new one");
        self.poisoned = Some(error);
        self.trouble_since.get_or_insert(now);
        self.prepares = true;
    }
}

/// Different for each life of a file: bytes of an older one never pass for records.
pub(crate) fn epoch(clock: &Clock, number: u64) -> u64 {
    let since = clock
        .now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) ^ number.rotate_left(48)
}
