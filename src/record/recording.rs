use super::entry;
use super::journal::SESSION_BYTES;
use super::recorder::Inner;
use super::segment::{Record, Tag, u32_at};
use super::{Durability, Error};
use crate::event::{Audit, Entry, Kind, Outcome};
use crate::id::SessionId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The journal has the end of a session that cannot be chunked; nobody waits longer for it.
const CHUNK_WAIT: Duration = Duration::from_secs(10);

/// An open recording: proof that `session.start` is in the journal. Cloning shares it. When the last
/// clone goes without [`Recording::close`], the recorder closes the stream.
#[derive(Clone)]
pub struct Recording {
    stream: Arc<Stream>,
}

struct Stream {
    inner: Arc<Inner>,
    id: SessionId,
    began: Duration,
    durability: Durability,
    /// What this session may have in memory, waiting for the disk.
    room: Arc<Semaphore>,
    closed: AtomicBool,
    /// What came in, was not recorded as far as we know, and was not sent on.
    missing_bytes: AtomicU64,
    missing_events: AtomicU64,
    failed: AtomicBool,
}

impl Recording {
    pub(crate) fn new(
        inner: Arc<Inner>,
        id: SessionId,
        began: Duration,
        durability: Durability,
    ) -> Self {
        inner.open.fetch_add(1, Ordering::Relaxed);
        Self {
            stream: Arc::new(Stream {
                inner,
                id,
                began,
                durability,
                room: Arc::new(Semaphore::new(SESSION_BYTES)),
                closed: AtomicBool::new(false),
                missing_bytes: AtomicU64::new(0),
                missing_events: AtomicU64::new(0),
                failed: AtomicBool::new(false),
            }),
        }
    }

    pub fn id(&self) -> SessionId {
        self.stream.id
    }

    /// Time since the session started, monotonic: what `mt` says for an entry appended now.
    pub fn elapsed(&self) -> Duration {
        let now = self.stream.inner.clock.monotonic();
        now.saturating_sub(self.stream.began)
    }

    /// Returns when the entry is in the journal (`write(2)` returned; with [`Durability::Sync`], when
    /// the disk has it). Only then may its bytes go on. A full journal makes it wait, 10 s at most.
    /// Dropping the future is safe: the entry is recorded or not, and nothing was forwarded.
    ///
    /// # Errors
    /// When the journal failed or has stopped: the session must end.
    pub async fn append(&self, entry: Entry) -> Result<(), Error> {
        let stream = &self.stream;
        if stream.closed.load(Ordering::SeqCst) {
            return Err(Error::Stopped);
        }
        let (tag, payload) = entry::encode(&entry.body);
        let mut record = stream.inner.record(stream.id, stream.began, tag, payload);
        record.channel = entry.channel.map(|channel| channel.0);
        let missing = Missing::of(stream, &record);
        let journal = &stream.inner.journal;
        let done = async {
            let seq = journal.append(record.encode(), &stream.room).await?;
            match stream.durability {
                Durability::Batch => Ok(()),
                Durability::Sync => journal.wait_durable(seq).await,
            }
        };
        let done = done.await;
        match &done {
            Ok(()) => missing.found(),
            Err(_) => stream.failed.store(true, Ordering::SeqCst),
        }
        done
    }

    /// Opens the stream: nothing is before this record.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        let stream = &self.stream;
        let open = stream.inner.open_record(stream.id, stream.began);
        let journal = &stream.inner.journal;
        journal.append(open.encode(), &stream.room).await?;
        Ok(())
    }

    /// Writes `end` and closes the stream; its last chunk is on disk when this returns. What a
    /// recorder that failed did not take stands before it as a `gap`.
    ///
    /// # Errors
    /// As [`Recording::append`]. A journal that takes records again later still gets the end.
    pub async fn close(self, end: Audit) -> Result<(), Error> {
        let stream = &self.stream;
        let mut result = Ok(());
        for audit in stream.gap(&end).into_iter().chain([end]) {
            let payload = entry::audit_json(&audit);
            let record = stream
                .inner
                .record(stream.id, stream.began, Tag::Audit, payload);
            let journal = &stream.inner.journal;
            result = result.and(journal.append_last(record.encode()).await.map(|_| ()));
        }
        let done = stream.inner.wait_for(stream.id);
        stream.close();
        result?;
        // A chunker that cannot write keeps trying; the journal has the session meanwhile.
        match tokio::time::timeout(CHUNK_WAIT, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::Stopped),
        }
    }
}

/// Counts a frame as missing unless it is known to be in the journal; whoever is dropped while it
/// waits does not know.
struct Missing<'a> {
    stream: &'a Stream,
    bytes: u64,
    counts: bool,
}

impl<'a> Missing<'a> {
    fn of(stream: &'a Stream, record: &Record) -> Self {
        let bytes = match record.tag {
            Tag::Input | Tag::Output | Tag::Stderr => record.payload.len() as u64,
            Tag::Withheld => u64::from(u32_at(&record.payload, 0).unwrap_or(0)),
            Tag::Audit | Tag::Notice | Tag::Resize | Tag::Progress => 0,
            Tag::Open | Tag::Close | Tag::Cut | Tag::Commit => 0,
        };
        Self {
            stream,
            bytes,
            counts: true,
        }
    }

    fn found(mut self) {
        self.counts = false;
    }
}

impl Drop for Missing<'_> {
    fn drop(&mut self) {
        if self.counts {
            let stream = self.stream;
            stream.missing_bytes.fetch_add(self.bytes, Ordering::SeqCst);
            stream.missing_events.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Stream {
    fn gap(&self, end: &Audit) -> Option<Audit> {
        let events = self.missing_events.load(Ordering::SeqCst);
        let failed = self.failed.load(Ordering::SeqCst) || self.inner.why_stopped().is_some();
        if events == 0 || !failed {
            return None;
        }
        let message = "so much came in that the recorder did not take in time: it was not sent on, \
                       and may be missing here";
        Some(Audit {
            kind: Kind::Gap {
                bytes: self.missing_bytes.load(Ordering::SeqCst),
                events,
                message: message.to_owned(),
            },
            outcome: Outcome::Error,
            ..end.clone()
        })
    }

    fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.inner.open.fetch_sub(1, Ordering::Relaxed);
        let close = self
            .inner
            .record(self.id, self.began, Tag::Close, Vec::new());
        self.inner.journal.push(close.encode());
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}
