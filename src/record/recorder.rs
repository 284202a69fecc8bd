//! The recorder of a node: opens streams and owns the threads.
//!
//! ```text
//! append -> journal -> (written) -> forwarded
//!              |-> durable.rs   fdatasync every 50 ms
//!              |-> prepare.rs   the next segments, zeroed ahead
//!              |-> tail.rs      records -> chunks, lines to the index
//!              `-> watchdog.rs  slow, stuck, full: alert, refuse, end
//! ```

use super::chunk::Chunker;
use super::disk::Ballast;
use super::journal::{Journal, SESSION_BYTES, STUCK};
use super::object::make_dir;
use super::recover::{self, Recovered};
use super::segment::{Record, Tag};
use super::tail::Tailer;
use super::watch::{Watch, Watchers};
use super::watchdog::Watchdog;
use super::{Config, Durability, Error, Recording, Status, lock};
use crate::clock::Clock;
use crate::event::{Audit, Entry, Kind, Note, Outcome, Severity};
use crate::id::SessionId;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Audit lines that wait for the index; who lags rebuilds from recordings.
const AUDIT_LINES: usize = 4096;

/// The recorder of a node. Cloning shares it.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) ballast: Ballast,
    node: SessionId,
    node_began: Duration,
    node_room: Arc<Semaphore>,
    audit: broadcast::Sender<(SessionId, Bytes)>,
    /// Who waits for a chunk of a session to be on disk.
    waiters: Mutex<HashMap<SessionId, Vec<oneshot::Sender<()>>>>,
    pub(crate) open: AtomicU64,
    pub(crate) free_bytes: AtomicU64,
    /// Free space is above the refusing mark.
    pub(crate) accepts: AtomicBool,
    pub(crate) slow: watch::Sender<bool>,
    pub(crate) watchers: Watchers,
    stop: Mutex<Stop>,
    /// The journal's threads have ended; the others finish and follow.
    pub(crate) stopping: AtomicBool,
    /// Replaced segments that an alert has told of.
    replaced_told: AtomicU64,
    threads: Mutex<Threads>,
    /// Held for the life of the process: one recorder for a state directory.
    _lock: File,
}

/// Why sessions must end, and how they hear of it. A new token for each time: a recorder that works
/// again takes new sessions.
#[derive(Default)]
struct Stop {
    token: CancellationToken,
    why: Option<Error>,
}

#[derive(Default)]
struct Threads {
    journal: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Recorder {
    /// Takes the state directory, recovers what a crash left open, starts the writer threads and the
    /// node's stream.
    ///
    /// # Errors
    /// [`Error::Taken`] when the directory is another process's, [`Error::Io`] when it cannot be
    /// written.
    pub fn open(config: Config, clock: Clock) -> Result<Self, Error> {
        let lock = lock::take(&config.dir)?;
        let dir = config.dir.join("journal");
        make_dir(&dir).map_err(|error| Error::io("make", &dir, &error))?;
        let ballast = Ballast::new(&dir, config.segment_bytes);
        let (audit, _) = broadcast::channel(AUDIT_LINES);
        let mut recovered = recover_in(&config, &audit);
        if is_full(&recovered) && ballast.release() {
            recovered = recover_in(&config, &audit);
        }
        let doing = "recover the journal and write the recordings in";
        let (chunker, recovered) =
            recovered.map_err(|error| Error::io(doing, &config.dir, &error))?;
        let first = recovered.next_segment;
        let journal = Journal::open(dir.clone(), config.segment_bytes, first, clock.clone())
            .map_err(|error| Error::io("make a journal segment in", &dir, &error))?;
        let inner = Arc::new(Inner {
            journal,
            node: SessionId::at(clock.now()),
            node_began: clock.monotonic(),
            node_room: Arc::new(Semaphore::new(SESSION_BYTES)),
            clock,
            config,
            ballast,
            audit,
            waiters: Mutex::default(),
            open: AtomicU64::new(0),
            free_bytes: AtomicU64::new(u64::MAX),
            accepts: AtomicBool::new(true),
            slow: watch::Sender::new(false),
            watchers: Watchers::default(),
            stop: Mutex::default(),
            stopping: AtomicBool::new(false),
            replaced_told: AtomicU64::new(0),
            threads: Mutex::default(),
            _lock: lock,
        });
        inner.begin_node(recovered);
        let mut watchdog = Watchdog::new(Arc::clone(&inner));
        watchdog.look();
        inner.start_threads(chunker, first, watchdog);
        Ok(Self { inner })
    }

    /// Opens a session's stream. When this returns, `start` is in the journal. While the disk is slow
    /// it waits, 10 s at most.
    ///
    /// # Errors
    /// [`Error::Full`] under the refusing mark; what [`Recording::append`] gives.
    pub async fn open_session(
        &self,
        id: SessionId,
        start: Audit,
        durability: Durability,
    ) -> Result<Recording, Error> {
        let inner = &self.inner;
        if !inner.accepts.load(Ordering::SeqCst) {
            return Err(Error::Full {
                free_bytes: inner.free_bytes.load(Ordering::Relaxed),
            });
        }
        inner.why_stopped().map_or(Ok(()), Err)?;
        inner.wait_while_slow().await?;
        inner.journal.prepare();
        let began = inner.clock.monotonic();
        let recording = Recording::new(Arc::clone(inner), id, began, durability);
        recording.begin().await?;
        recording.append(Entry::audit(start)).await?;
        Ok(recording)
    }

    /// An event of the node's own stream.
    pub async fn append_node(&self, audit: Audit) -> Result<(), Error> {
        let record = self.inner.node_record(&audit).encode();
        let journal = &self.inner.journal;
        journal.append(record, &self.inner.node_room).await?;
        Ok(())
    }

    /// Every rendered audit line of every stream, for the index. A receiver that lags loses the
    /// oldest and must catch up from recordings.
    pub fn audit_lines(&self) -> broadcast::Receiver<(SessionId, Bytes)> {
        self.inner.audit.subscribe()
    }

    /// Makes what the node itself appended so far readable.
    pub async fn cut_node(&self) -> Result<(), Error> {
        self.cut(self.inner.node).await
    }

    /// Makes everything appended to a running session so far readable under `recordings/`.
    pub async fn cut(&self, session: SessionId) -> Result<(), Error> {
        let done = self.inner.wait_for(session);
        self.inner.push_cut(session);
        match tokio::time::timeout(STUCK, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::Stopped),
        }
    }

    /// A running session from here on; what was before is in chunks when this returns. `None` when it
    /// has ended.
    ///
    /// # Errors
    /// [`Error::Watched`] when too many people watch, [`Error::Stopped`].
    pub async fn watch(&self, session: SessionId) -> Result<Option<Watch>, Error> {
        let joining = self.inner.watchers.join(session).ok_or(Error::Watched)?;
        self.cut(session).await?;
        Ok(joining.joined().await)
    }

    /// Cancelled when the sessions of now must end: the journal stands still, or the disk is full.
    pub fn must_stop(&self) -> CancellationToken {
        self.inner.stop().token.clone()
    }

    /// What [`Recorder::must_stop`] is about, while it lasts.
    pub fn why_stopped(&self) -> Option<Error> {
        self.inner.why_stopped()
    }

    #[cfg(test)]
    pub(crate) fn inner_journal(&self) -> Arc<Journal> {
        Arc::clone(&self.inner.journal)
    }

    pub fn status(&self) -> Status {
        let inner = &self.inner;
        let health = inner.journal.health();
        Status {
            free_bytes: inner.free_bytes.load(Ordering::Relaxed),
            unsynced_bytes: health.unsynced_bytes,
            sessions_open: inner.open.load(Ordering::Relaxed),
            slow_writes: health.slow_writes,
            replaced_segments: health.replaced,
            accepts_sessions: inner.accepts.load(Ordering::SeqCst) && inner.why_stopped().is_none(),
        }
    }

    /// Closes the node's stream, flushes, chunks what is left and joins the threads.
    ///
    /// # Errors
    /// What no segment took. Call it once, when nobody appends any more.
    pub fn shut_down(self) -> Result<(), Error> {
        let inner = &self.inner;
        // The watchdog looks from time to time: what happened since would end untold.
        inner.alert_of_replaced(inner.journal.health().replaced);
        inner.push_node(&Audit::of_node(Kind::NodeStop, Outcome::Success));
        let close = inner.record(inner.node, inner.node_began, Tag::Close, Vec::new());
        inner.journal.push(close.encode());
        inner.journal.stop();
        let threads = std::mem::take(&mut *inner.threads());
        let journal = join(threads.journal);
        // Only now is everything written that the chunker can find.
        inner.stopping.store(true, Ordering::SeqCst);
        let others = join(threads.others);
        inner.journal.tidy_up();
        journal.and(others)?;
        let lost = inner.journal.lock().lost.clone();
        lost.map_or(Ok(()), Err)
    }
}

/// All of them, whatever one of them says.
fn join(threads: Vec<JoinHandle<()>>) -> Result<(), Error> {
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    let all: Result<Vec<()>, _> = ended.into_iter().collect();
    all.map(|_| ()).map_err(|_| Error::Stopped)
}

type Recovery = io::Result<(Chunker, Recovered)>;

fn recover_in(config: &Config, audit: &broadcast::Sender<(SessionId, Bytes)>) -> Recovery {
    let mut chunker = Chunker::new(&config.dir, config.chunk_bytes, audit.clone())?;
    let recovered = recover::recover(&config.dir.join("journal"), &mut chunker)?;
    Ok((chunker, recovered))
}

fn is_full(recovery: &Recovery) -> bool {
    let kind = recovery.as_ref().err().map(io::Error::kind);
    kind == Some(io::ErrorKind::StorageFull)
}

impl Inner {
    fn wall_ns(&self) -> u64 {
        let since = self.clock.now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
    }

    fn begin_node(&self, found: Recovered) {
        let open = self.open_record(self.node, self.node_began);
        self.journal.push(open.encode());
        let start = Kind::NodeStart {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_ns: self.wall_ns(),
        };
        self.push_node(&Audit::of_node(start, Outcome::Success));
        if found.sessions == 0 && found.torn_bytes == 0 && found.quarantined.is_empty() {
            return;
        }
        let damaged = found.quarantined.join(", ");
        let kind = Kind::NodeRecover {
            sessions: found.sessions,
            torn_bytes: found.torn_bytes,
            quarantined: found.quarantined,
        };
        self.push_node(&Audit::of_node(kind, Outcome::Success));
        if !damaged.is_empty() {
            let text = format!("the journal was damaged: {damaged} is kept in journal/quarantine");
            self.alert(Severity::High, "journal_damaged", &text);
        }
    }

    /// Wall clock and monotonic clock at the start.
    pub(crate) fn open_record(&self, id: SessionId, began: Duration) -> Record {
        let began_ns = u64::try_from(began.as_nanos()).unwrap_or(u64::MAX);
        let payload = [self.wall_ns().to_le_bytes(), began_ns.to_le_bytes()].concat();
        self.record(id, began, Tag::Open, payload)
    }

    pub(crate) fn record(
        &self,
        session: SessionId,
        began: Duration,
        tag: Tag,
        payload: Vec<u8>,
    ) -> Record {
        let mt = self.clock.monotonic().saturating_sub(began).as_nanos();
        Record {
            session,
            channel: None,
            mt: u64::try_from(mt).unwrap_or(u64::MAX),
            tag,
            payload,
        }
    }

    fn node_record(&self, audit: &Audit) -> Record {
        let payload = super::entry::audit_json(audit);
        self.record(self.node, self.node_began, Tag::Audit, payload)
    }

    fn push_node(&self, audit: &Audit) {
        self.journal.push(self.node_record(audit).encode());
    }

    /// An event of the node's stream that nobody waits for: on a sick disk it comes when it can.
    pub(crate) fn alert(&self, severity: Severity, code: &str, message: &str) {
        tracing::warn!(code, "{message}");
        let note = Note {
            code: code.to_owned(),
            message: message.to_owned(),
            reference: None,
            certificate: None,
            keys: Vec::new(),
        };
        let kind = Kind::Alert { severity, note };
        self.push_node(&Audit::of_node(kind, Outcome::Failure));
    }

    /// Of `replaced` segments in all; once for each time that there are more.
    pub(crate) fn alert_of_replaced(&self, replaced: u64) {
        if self.replaced_told.fetch_max(replaced, Ordering::SeqCst) < replaced {
            let text = "a journal segment failed: nothing was lost, a new one has what it had";
            self.alert(Severity::High, "journal_segment", text);
        }
    }

    pub(crate) fn push_cut(&self, session: SessionId) {
        // `mt` of a cut has no meaning: it ends a chunk where it stands.
        let cut = Record {
            session,
            channel: None,
            mt: 0,
            tag: Tag::Cut,
            payload: Vec::new(),
        };
        self.journal.push(cut.encode());
    }

    async fn wait_while_slow(&self) -> Result<(), Error> {
        let mut slow = self.slow.subscribe();
        match tokio::time::timeout(STUCK, slow.wait_for(|slow| !slow)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::Slow(STUCK)),
        }
    }

    fn stop(&self) -> MutexGuard<'_, Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn why_stopped(&self) -> Option<Error> {
        self.stop().why.clone()
    }

    pub(crate) fn set_stopped(&self, why: Option<Error>) {
        let mut stop = self.stop();
        if why.is_some() {
            std::mem::take(&mut stop.token).cancel();
        }
        stop.why = why;
    }

    pub(crate) fn wait_for(&self, session: SessionId) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.entry(session).or_default().push(done);
        wait
    }

    pub(crate) fn tell(&self, session: SessionId) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        for waiter in waiters.remove(&session).unwrap_or_default() {
            if waiter.send(()).is_err() {
                tracing::trace!("nobody waits for this chunk any more");
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_threads(self: &Arc<Self>, chunker: Chunker, first: u64, watchdog: Watchdog) {
        let tailer = Tailer::new(Arc::clone(self), chunker, first);
        let journal = |run: fn(&Journal)| {
            let journal = Arc::clone(&self.journal);
            std::thread::spawn(move || run(&journal))
        };
        let mut threads = self.threads();
        threads.journal.push(journal(Journal::run_writer));
        threads.journal.push(journal(Journal::run_sync));
        threads.journal.push(journal(Journal::run_preparer));
        threads.others.push(std::thread::spawn(|| tailer.run()));
        threads.others.push(std::thread::spawn(|| watchdog.run()));
    }
}

/// The calling thread gives way to those that serve people.
pub(crate) fn be_nice(nice: i32) {
    let me = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(me), nice) {
        tracing::debug!(%error, nice, "this thread is as important as all others");
    }
}
