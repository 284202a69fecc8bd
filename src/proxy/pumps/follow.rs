//! Beside the path: what a person runs in a terminal, found while it is run.
//!
//! The pumps show what they have recorded and never wait: a queue that is full loses its place, says so
//! by a `blind` event, and the recording gives the commands again afterwards (`replay`). Bytes that are
//! withheld wait in the inspector, at most 4 KiB a line, until they are shown or dropped.

use crate::event::{
    Blind, BlindReason, Command, CommandSource, Confidence, Entry, Kind, Marks, Outcome,
    SecretLine, Span,
};
use crate::id::ChannelId;
use crate::inspect::{self, At, Found, Inspector};
use crate::proxy::config::Typed;
use crate::proxy::session::Session;
use crate::proxy::tap;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::task::TaskTracker;

/// Events that wait; when it is full the terminal is not followed until it is empty.
const QUEUE: usize = 256;
/// Bytes that wait: the events of a flood are large.
const QUEUE_BYTES: usize = 1024 * 1024; // 1 MiB
/// At the end of a channel what waits is looked at for so long; a queue holds far less work.
const REST: Duration = Duration::from_secs(5);

/// What the pumps show, each after it was recorded.
#[derive(Debug)]
enum Seen {
    /// `before`: bytes typed on the channel before these.
    Typed {
        at: At,
        before: u64,
        bytes: Bytes,
    },
    Shown {
        at: At,
        bytes: Bytes,
    },
    Resized {
        cols: u32,
        rows: u32,
    },
    /// Something is missing here.
    Skipped {
        at: At,
    },
}

/// The pumps' end.
pub(crate) struct Follower {
    session: Arc<Session>,
    channel: ChannelId,
    to: mpsc::Sender<Seen>,
    waiting: Arc<AtomicUsize>,
    /// Nothing is shown until the queue is empty.
    skipping: AtomicBool,
    typed: AtomicU64,
    /// Follows, and says so at once should that break.
    task: JoinHandle<()>,
    stop: AbortHandle,
}

impl Follower {
    /// `None` where there is no terminal to follow.
    pub(crate) fn start(
        tasks: &TaskTracker,
        session: &Arc<Session>,
        channel: ChannelId,
        size: (u32, u32),
    ) -> Option<Self> {
        let inspector = Inspector::new(size.0, size.1)?;
        let (to, from) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let following = Following {
            session: Arc::clone(session),
            channel,
            inspector,
            size,
            waiting: Arc::clone(&waiting),
            typed: session.house.config.session.typed,
            last: At::default(),
        };
        // INVARIANT: ended by `end`, or by the last sender's drop.
        let run = tasks.spawn(following.run(from));
        let stop = run.abort_handle();
        let told = Arc::clone(session);
        let task = tasks.spawn(async move {
            if let Some(why) = died(run).await {
                lose(&told, channel, why).await;
            }
        });
        Some(Self {
            session: Arc::clone(session),
            channel,
            to,
            waiting,
            skipping: AtomicBool::new(false),
            typed: AtomicU64::new(0),
            task,
            stop,
        })
    }

    fn now(&self) -> At {
        let mt = self.session.recording.elapsed().as_nanos();
        At {
            mt: u64::try_from(mt).unwrap_or(u64::MAX),
            seq: None,
        }
    }

    pub(crate) fn typed(&self, bytes: &Bytes) {
        let before = self.typed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let at = self.now();
        let bytes = bytes.clone();
        self.see(bytes.len(), Seen::Typed { at, before, bytes });
    }

    pub(crate) fn shown(&self, bytes: &Bytes) {
        let at = self.now();
        let bytes = bytes.clone();
        self.see(bytes.len(), Seen::Shown { at, bytes });
    }

    pub(crate) fn resized(&self, cols: u32, rows: u32) {
        self.see(0, Seen::Resized { cols, rows });
    }

    fn see(&self, length: usize, seen: Seen) {
        if self.skipping.load(Ordering::Relaxed) {
            if self.to.capacity() < QUEUE {
                return;
            }
            self.skipping.store(false, Ordering::Relaxed);
            let at = self.now();
            self.send(0, Seen::Skipped { at });
        }
        self.send(length, seen);
    }

    fn send(&self, length: usize, seen: Seen) {
        let waiting = self.waiting.fetch_add(length, Ordering::Relaxed);
        let too_much = waiting > 0 && waiting + length > QUEUE_BYTES;
        if too_much || self.to.try_send(seen).is_err() {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            self.skipping.store(true, Ordering::Relaxed);
        }
    }

    /// Nothing more comes: what waits is looked at, and what is left of it is said.
    pub(crate) async fn end(self) {
        let Self {
            session,
            channel,
            to,
            task,
            stop,
            ..
        } = self;
        drop(to);
        match tokio::time::timeout(REST, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lose(&session, channel, error.to_string()).await,
            Err(_) => {
                stop.abort();
                lose(&session, channel, "there was too much of it".to_owned()).await;
            }
        }
    }
}

/// Waits for the end, and gives why it was none. Stopped is not died: who stopped it says so.
async fn died(run: JoinHandle<()>) -> Option<String> {
    let error = run.await.err()?;
    error.is_panic().then(|| error.to_string())
}

/// The session goes on without; the recording gives the commands again.
async fn lose(session: &Session, channel: ChannelId, why: String) {
    let message = format!("commands of this terminal could not be followed to its end: {why}");
    let note = tap::note("commands_lost", message, session.id());
    let entry = session.tap.on(channel, Kind::Error(note), Outcome::Error);
    if let Err(error) = session.recording.append(entry).await {
        tracing::error!(session = %session.id(), %error, "that commands were lost was not recorded");
    }
}

/// The task's end.
struct Following {
    session: Arc<Session>,
    channel: ChannelId,
    inspector: Inspector,
    size: (u32, u32),
    waiting: Arc<AtomicUsize>,
    typed: Typed,
    last: At,
}

impl Following {
    async fn run(mut self, mut from: mpsc::Receiver<Seen>) {
        while let Some(seen) = from.recv().await {
            self.look(seen);
            if self.tell().await.is_err() {
                return;
            }
            // A flood of output must not keep a thread from others.
            tokio::task::yield_now().await;
        }
        self.inspector.finish(self.last);
        if self.tell().await.is_err() {
            tracing::debug!(session = %self.session.id(), "the last commands were not recorded");
        }
    }

    fn look(&mut self, seen: Seen) {
        match seen {
            Seen::Typed { at, before, bytes } => {
                self.last = at;
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.inspector.typed_before(before);
                self.inspector.typed(at, &bytes);
            }
            Seen::Shown { at, bytes } => {
                self.last = at;
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.inspector.shown(at, &bytes);
            }
            Seen::Resized { cols, rows } => {
                self.size = (cols, rows);
                self.inspector.resize(cols, rows);
            }
            Seen::Skipped { at } => {
                self.inspector.skip(self.last, at, self.size);
                self.last = at;
            }
        }
    }

    async fn tell(&mut self) -> Result<(), crate::record::Error> {
        for found in self.inspector.take() {
            let kind = match found {
                // Not shown: its text is nobody's but where everything typed is kept.
                Found::Command(command) if self.hides(&command) => {
                    Kind::CommandSecret(SecretLine {
                        bytes: command.text.len() as u64,
                        span: command.span,
                    })
                }
                Found::Command(command) => Kind::Command(command),
                Found::Secret(secret) => Kind::CommandSecret(secret),
                Found::Blind(blind) => Kind::Blind(blind),
                Found::Reveal(_) if self.typed != Typed::Withhold => continue,
                Found::Reveal(reveal) => Kind::InputReveal(reveal),
            };
            let entry = self.session.tap.on(self.channel, kind, Outcome::Success);
            self.session.recording.append(entry).await?;
        }
        Ok(())
    }

    fn hides(&self, command: &Command) -> bool {
        command.confidence == Confidence::Low && self.typed != Typed::Record
    }
}

/// The exec request is the command itself.
pub(crate) fn of_exec(session: &Session, channel: ChannelId, command: &[u8]) -> Entry {
    let text = inspect::mask(&String::from_utf8_lossy(command));
    let mt = u64::try_from(session.recording.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let command = Command {
        lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX),
        text,
        confidence: Confidence::High,
        sources: vec![CommandSource::Exec],
        span: Span {
            from_mt: mt,
            to_mt: mt,
            ..Span::default()
        },
        marks: Marks::default(),
    };
    let kind = Kind::Command(Box::new(command));
    session.tap.on(channel, kind, Outcome::Success)
}

/// A shell that reads from no terminal: nothing can be said of what it was told.
pub(crate) fn without_terminal(session: &Session, channel: ChannelId) -> Entry {
    let mt = u64::try_from(session.recording.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let blind = Blind {
        reason: BlindReason::NoTerminal,
        span: Span {
            to_mt: mt,
            ..Span::default()
        },
    };
    session
        .tap
        .on(channel, Kind::Blind(blind), Outcome::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_that_breaks_is_told_of_and_one_that_is_stopped_is_not() {
        let tasks = TaskTracker::new();
        let why = died(tasks.spawn(async { panic!("row 7") })).await;
        assert!(why.is_some_and(|why| why.contains("row 7")));
        assert_eq!(died(tasks.spawn(async {})).await, None);
        let waits = tasks.spawn(std::future::pending());
        waits.abort();
        assert_eq!(died(waits).await, None);
    }
}
