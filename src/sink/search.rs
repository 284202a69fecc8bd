//! The search index as a sink: commands, files and forwards live from audit lines, the rest from the
//! recording when a session has ended, and everything from recordings whenever lines were missed.
//!
//! How far a session is in the index stands in the database beside its lines, and no line can be in
//! twice: whatever is killed when, the next start reads what is not whole again.

use super::index::Cut;
use super::lines::{Stands, told};
use super::readings::Readings;
use crate::event::{Audit, Kind};
use crate::id::{ChannelId, Seq, SessionId};
use crate::store::{Error, Piece, Recordings, Store, Told};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Lines put in by one change of the database.
const BATCH: usize = 512;
/// What could not be read is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// A line as far as the index needs it.
#[derive(Deserialize)]
struct Heard {
    seq: Seq,
    ts: DateTime<Utc>,
    mt: u64,
    #[serde(default)]
    channel: Option<ChannelId>,
    #[serde(flatten)]
    audit: Audit,
}

/// The sink. [`SearchIndex::run`] until it is told to stop.
pub struct SearchIndex<C, R> {
    pub store: Store,
    pub recordings: R,
    pub recorder: C,
    /// Whether what was on screens is to be found.
    pub screen: bool,
    /// When this node started: no older session runs.
    pub started: DateTime<Utc>,
}

/// What is still to be done. Bounded by the sessions that there are.
#[derive(Default)]
struct Work {
    /// Sessions that run, as far as their lines came.
    live: BTreeSet<SessionId>,
    /// To be read from their recordings, newest first.
    unread: BTreeSet<SessionId>,
    /// The same, later.
    again: BTreeSet<SessionId>,
    /// Those that are read.
    readings: Readings,
}

impl<C: Cut, R: Recordings> SearchIndex<C, R> {
    /// Subscribe to `lines` before this is called. A failing database costs lines that come later,
    /// never a session.
    pub async fn run(
        &self,
        mut lines: broadcast::Receiver<(SessionId, Bytes)>,
        stop: CancellationToken,
    ) {
        let mut work = Work::default();
        self.begin(&mut work).await;
        // Kept over all that is heard meanwhile: a busy node tries again, too.
        let mut retry = Box::pin(tokio::time::sleep(AGAIN));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                heard = lines.recv() => match heard {
                    Ok(first) => {
                        let rest = std::iter::from_fn(|| lines.try_recv().ok());
                        let batch = std::iter::once(first).chain(rest.take(BATCH)).collect();
                        self.hear(batch, &mut work).await;
                    }
                    Err(RecvError::Lagged(lines)) => {
                        tracing::warn!(lines, "the search index lagged and reads recordings again");
                        work.unread.append(&mut work.live);
                        self.look_for_unread(&mut work, false).await;
                    }
                    Err(RecvError::Closed) => return,
                },
                // Only while no line waits.
                () = std::future::ready(()), if work.readings.has_room() && !work.unread.is_empty() => {
                    if let Some(id) = work.unread.pop_last() {
                        self.open(id, &mut work).await;
                    }
                }
                (id, piece) = work.readings.next(), if !work.readings.is_empty() => {
                    self.read(id, piece, &mut work).await;
                }
                () = &mut retry, if !work.again.is_empty() => {
                    work.unread.append(&mut work.again);
                    retry.set(tokio::time::sleep(AGAIN));
                }
            }
        }
    }

    async fn begin(&self, work: &mut Work) {
        if !self.screen
            && let Err(error) = self.store.clear_screen().await
        {
            complain(
                &error,
                "what was on screens could not be taken out of the search index",
            );
        }
        self.look_for_unread(work, true).await;
    }

    /// At the start nothing runs: what is not whole is forgotten first, for the power that was lost
    /// may have taken the end of a recording.
    async fn look_for_unread(&self, work: &mut Work, starting: bool) {
        let looked = async {
            let known = self.store.progress().await?;
            for id in self.recordings.streams().await? {
                let progress = known.get(&id).copied().unwrap_or_default();
                if progress.lacks(self.screen) {
                    if starting && !progress.whole && known.contains_key(&id) {
                        self.store.forget_told(id).await?;
                    }
                    work.unread.insert(id);
                }
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = looked.await {
            complain(&error, "the search index could not look for recordings");
        }
    }

    async fn hear(&self, batch: Vec<(SessionId, Bytes)>, work: &mut Work) {
        let mut by_session: BTreeMap<SessionId, Vec<Told>> = BTreeMap::new();
        for (id, line) in batch {
            let Ok(heard) = serde_json::from_slice::<Heard>(&line) else {
                // Not one of the kinds that we know; the recorder wrote it all the same.
                continue;
            };
            if matches!(heard.audit.kind, Kind::SessionEnd { .. }) {
                work.live.remove(&id);
                work.unread.insert(id);
            }
            let stands = Stands {
                seq: heard.seq,
                ts: heard.ts,
                mt: Duration::from_nanos(heard.mt),
                channel: heard.channel.map(|channel| channel.0),
            };
            let Some(told) = told(stands, &heard.audit) else {
                continue;
            };
            if work.live.insert(id) && !matches!(told, Told::Start(_)) {
                // Lines before this one were missed.
                work.unread.insert(id);
            } else {
                by_session.entry(id).or_default().push(told);
            }
        }
        for (id, told) in by_session {
            if let Err(error) = self.store.put_told(id, &told).await {
                complain(&error, "the search index missed lines and reads them again");
                work.again.insert(id);
            }
        }
    }

    async fn open(&self, id: SessionId, work: &mut Work) {
        if work.readings.holds_back(id) {
            return;
        }
        if work.live.contains(&id)
            && let Err(error) = self.recorder.cut(id).await
        {
            tracing::debug!(session = %id, error, "not cut: it is closed, or the recorder stops");
        }
        match self.recordings.told(id, self.screen).await {
            Ok(Some(pieces)) => work.readings.begin(id, pieces),
            Ok(None) => {}
            Err(error) => self.fail(id, &error.into(), work),
        }
    }

    async fn read(&self, id: SessionId, piece: Option<Piece>, work: &mut Work) {
        let Some(piece) = piece else {
            if work.readings.is_due_again(id) {
                work.unread.insert(id);
            }
            return;
        };
        let may_run = id.time().is_none_or(|time| time >= self.started);
        let put = self.store.put_piece(id, piece, self.screen, may_run);
        if let Err(error) = put.await {
            work.readings.give_up(id);
            self.fail(id, &error, work);
        }
    }

    fn fail(&self, id: SessionId, error: &Error, work: &mut Work) {
        complain(error, "the search index could not read a recording");
        work.again.insert(id);
    }
}

fn complain(error: &Error, what: &'static str) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "{what}");
}
