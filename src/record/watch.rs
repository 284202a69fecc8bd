//! Who watches a running session: they see each record after it was written, and hold up nobody.
//!
//! A watcher joins at a cut: all before it is in chunks, all after it comes here. One that does not
//! keep up loses records and is told how many bytes that were; the recording has them.

use super::segment::{Record, Tag, u32_at};
use crate::id::SessionId;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Records, and bytes in them, that wait for a watcher.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 4 * 1024 * 1024; // 4 MiB
const LOOK: Duration = Duration::from_millis(100);
/// People who watch at once on a node.
const WATCHERS_MAX: usize = 256;

/// A record, as far as somebody who looks on needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Bytes(SeenBytes),
    Resize {
        channel: Option<u32>,
        mt: u64,
        cols: u32,
        rows: u32,
    },
    /// The JSON object of an audit event, without its envelope.
    Audit {
        channel: Option<u32>,
        mt: u64,
        json: Bytes,
    },
    /// So much did not wait: the watcher was too slow.
    Skipped {
        bytes: u64,
    },
    Ended,
}

/// Output or a notice: what came onto the person's terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenBytes {
    pub channel: Option<u32>,
    pub mt: u64,
    pub bytes: Bytes,
}

/// A running session as it goes on.
#[derive(Debug)]
pub struct Watch {
    from: mpsc::Receiver<Seen>,
    waiting: Arc<AtomicUsize>,
    skipped: Arc<AtomicU64>,
    /// The number of the first line that is not in a chunk.
    pub joined_at: u64,
}

impl Watch {
    /// The next record; [`Seen::Ended`] is the last. Cancel safe.
    pub async fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.ready() {
                return seen;
            }
            // What is skipped wakes nobody: it is looked for from time to time.
            match tokio::time::timeout(LOOK, self.from.recv()).await {
                Ok(Some(seen)) => return self.taken(seen),
                Ok(None) => return Seen::Ended,
                Err(_) => {}
            }
        }
    }

    /// One that waits already.
    pub fn ready(&mut self) -> Option<Seen> {
        match self.from.try_recv() {
            Ok(seen) => Some(self.taken(seen)),
            Err(_) => match self.skipped.swap(0, Ordering::SeqCst) {
                0 => None,
                bytes => Some(Seen::Skipped { bytes }),
            },
        }
    }

    fn taken(&self, seen: Seen) -> Seen {
        self.waiting.fetch_sub(length(&seen), Ordering::SeqCst);
        seen
    }
}

fn length(seen: &Seen) -> usize {
    match seen {
        Seen::Bytes(seen) => seen.bytes.len(),
        Seen::Audit { json, .. } => json.len(),
        Seen::Resize { .. } | Seen::Skipped { .. } | Seen::Ended => 0,
    }
}

struct Watcher {
    to: mpsc::Sender<Seen>,
    waiting: Arc<AtomicUsize>,
    /// Above zero nothing is shown: whoever watches takes it when all before it is seen.
    skipped: Arc<AtomicU64>,
    /// Until the cut after which it sees: who waits for the number of the next line.
    joins: Option<oneshot::Sender<u64>>,
}

impl Watcher {
    fn show(&self, seen: Seen) {
        let bytes = length(&seen);
        let more = bytes.max(1) as u64;
        let skips = |skipped: u64| (skipped > 0).then(|| skipped.saturating_add(more));
        let skipped = self
            .skipped
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, skips);
        if skipped.is_ok() {
            return;
        }
        let waiting = self.waiting.fetch_add(bytes, Ordering::SeqCst);
        if waiting + bytes > QUEUE_BYTES || self.to.try_send(seen).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::SeqCst);
            self.skipped.fetch_add(more, Ordering::SeqCst);
        }
    }
}

/// What it takes to become a watcher.
pub(crate) struct Joining {
    watch: Watch,
    joined: oneshot::Receiver<u64>,
}

impl Joining {
    /// `None` when the session has ended.
    pub(crate) async fn joined(self) -> Option<Watch> {
        let joined_at = self.joined.await.ok()?;
        Some(Watch {
            joined_at,
            ..self.watch
        })
    }
}

#[derive(Default)]
pub(crate) struct Watchers {
    /// How many: the path of every record asks no lock while nobody watches.
    count: AtomicUsize,
    by_session: Mutex<HashMap<SessionId, Vec<Watcher>>>,
}

impl Watchers {
    /// Sees what comes after the next cut of that session. `None` when too many watch.
    pub(crate) fn join(&self, session: SessionId) -> Option<Joining> {
        let mut watchers = self.lock();
        for watchers in watchers.values_mut() {
            watchers.retain(|watcher| !watcher.to.is_closed());
        }
        watchers.retain(|_, watchers| !watchers.is_empty());
        let count: usize = watchers.values().map(Vec::len).sum();
        self.count.store(count, Ordering::SeqCst);
        if count >= WATCHERS_MAX {
            return None;
        }
        let (to, from) = mpsc::channel(QUEUE);
        let (joins, joined) = oneshot::channel();
        let (waiting, skipped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicU64>::default());
        watchers.entry(session).or_default().push(Watcher {
            to,
            waiting: Arc::clone(&waiting),
            skipped: Arc::clone(&skipped),
            joins: Some(joins),
        });
        self.count.fetch_add(1, Ordering::SeqCst);
        let watch = Watch {
            from,
            waiting,
            skipped,
            joined_at: 0,
        };
        Some(Joining { watch, joined })
    }

    /// A record was written and is on its way into a chunk. `next_line` is that of the session, if
    /// it is open.
    pub(crate) fn show(&self, record: &Record, next_line: Option<u64>) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut by_session = self.lock();
        let Some(watchers) = by_session.get_mut(&record.session) else {
            return;
        };
        match (record.tag, next_line) {
            // What ends a session ends its watchers: a cut of one that is not open, too.
            (Tag::Close, _) | (_, None) => {
                for watcher in by_session.remove(&record.session).unwrap_or_default() {
                    watcher.show(Seen::Ended);
                    self.count.fetch_sub(1, Ordering::SeqCst);
                }
            }
            (Tag::Cut, Some(line)) => {
                for joins in watchers.iter_mut().filter_map(|one| one.joins.take()) {
                    if joins.send(line).is_err() {
                        tracing::trace!("who wanted to watch went away");
                    }
                }
            }
            (_, Some(_)) => {
                if let Some(seen) = seen(record) {
                    for watcher in watchers.iter().filter(|one| one.joins.is_none()) {
                        watcher.show(seen.clone());
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Vec<Watcher>>> {
        self.by_session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(record: &Record) -> Option<Seen> {
    let (channel, mt) = (record.channel, record.mt);
    let bytes = || Bytes::copy_from_slice(&record.payload);
    match record.tag {
        Tag::Output | Tag::Stderr | Tag::Notice => Some(Seen::Bytes(SeenBytes {
            channel,
            mt,
            bytes: bytes(),
        })),
        Tag::Resize => Some(Seen::Resize {
            channel,
            mt,
            cols: u32_at(&record.payload, 0).unwrap_or(0),
            rows: u32_at(&record.payload, 4).unwrap_or(0),
        }),
        Tag::Audit => Some(Seen::Audit {
            channel,
            mt,
            json: bytes(),
        }),
        Tag::Input | Tag::Withheld | Tag::Progress => None,
        Tag::Open | Tag::Close | Tag::Cut | Tag::Commit => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tag: Tag, payload: &[u8]) -> Record {
        Record {
            session: SessionId(uuid::Uuid::from_u128(1)),
            channel: Some(0),
            mt: 7,
            tag,
            payload: payload.to_vec(),
        }
    }

    async fn joined(watchers: &Watchers) -> Watch {
        let joining = watchers.join(record(Tag::Open, b"").session).unwrap();
        watchers.show(&record(Tag::Output, b"before"), Some(4));
        watchers.show(&record(Tag::Cut, b""), Some(5));
        joining.joined().await.unwrap()
    }

    #[tokio::test]
    async fn a_watcher_sees_what_comes_after_its_cut_to_the_end() {
        let watchers = Watchers::default();
        let mut watch = joined(&watchers).await;
        assert_eq!(watch.joined_at, 5);
        watchers.show(&record(Tag::Output, b"after"), Some(5));
        watchers.show(&record(Tag::Withheld, &[1, 0, 0, 0]), Some(6));
        watchers.show(&record(Tag::Close, b""), None);
        assert!(matches!(watch.next().await, Seen::Bytes(seen) if *seen.bytes == *b"after"));
        assert_eq!(watch.next().await, Seen::Ended);
        assert_eq!(watchers.count.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn one_who_lags_is_told_how_much_and_holds_up_nobody() {
        let watchers = Watchers::default();
        let mut watch = joined(&watchers).await;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..10 {
            watchers.show(&record(Tag::Output, &piece), Some(5));
        }
        for _ in 0..4 {
            assert!(
                matches!(watch.next().await, Seen::Bytes(seen) if seen.bytes.len() == piece.len())
            );
        }
        let bytes = 6 * 1024 * 1024;
        assert_eq!(watch.next().await, Seen::Skipped { bytes });
        watchers.show(&record(Tag::Output, b"now"), Some(6));
        assert!(matches!(watch.next().await, Seen::Bytes(seen) if *seen.bytes == *b"now"));
    }

    #[tokio::test]
    async fn a_session_that_is_not_open_is_not_joined_and_places_come_back() {
        let watchers = Watchers::default();
        let session = record(Tag::Open, b"").session;
        let joining = watchers.join(session).unwrap();
        watchers.show(&record(Tag::Cut, b""), None);
        assert!(joining.joined().await.is_none());
        let many: Vec<_> = (0..WATCHERS_MAX).map(|_| watchers.join(session)).collect();
        assert!(many.iter().all(Option::is_some) && watchers.join(session).is_none());
        drop(many);
        assert!(watchers.join(session).is_some());
    }
}
