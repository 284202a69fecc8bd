//! The index of sessions as a sink: live from audit lines, and again from recordings whenever
//! lines may have been missed.

use crate::event::{Audit, Kind};
use crate::id::{Seq, SessionId};
use crate::record::Recorder;
use crate::store::{self, Recordings, Review, Store};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::pin::Pin;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Makes what was appended to a running session readable. The recorder does; a test need not.
pub trait Cut: Send + Sync {
    fn cut(
        &self,
        session: SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}

impl Cut for Recorder {
    fn cut(
        &self,
        session: SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async move {
            Self::cut(self, session)
                .await
                .map_err(|error| error.to_string())
        })
    }
}

/// A line as far as the index needs it.
#[derive(Deserialize)]
struct Heard {
    seq: Seq,
    ts: DateTime<Utc>,
    #[serde(flatten)]
    audit: Audit,
}

/// The sink. [`Index::run`] until it is told to stop.
pub struct Index<C, R> {
    pub store: Store,
    pub recordings: R,
    pub recorder: C,
}

impl<C: Cut, R: Recordings> Index<C, R> {
    /// Subscribe to `lines` before this is called: it first catches up with the recordings, then
    /// follows. Ends when told to, or with the recorder. A failing database costs the rows, which
    /// the next start brings back, never a session.
    pub async fn run(
        &self,
        mut lines: broadcast::Receiver<(SessionId, Bytes)>,
        stop: CancellationToken,
    ) {
        self.catch_up(&BTreeSet::new()).await;
        // Sessions of which a line could not be put into the index: read again from the recording
        // with the next line that comes for them. Bounded by the sessions that run.
        let mut behind = BTreeSet::new();
        loop {
            let heard = tokio::select! {
                () = stop.cancelled() => break,
                heard = lines.recv() => heard,
            };
            match heard {
                Ok((id, line)) => self.hear(id, &line, &mut behind).await,
                Err(RecvError::Lagged(lines)) => {
                    tracing::warn!(lines, "the session index lagged and reads recordings again");
                    self.catch_up(&behind).await;
                    behind.clear();
                }
                Err(RecvError::Closed) => break,
            }
        }
        // What came before the stop is in the channel still.
        while let Ok((id, line)) = lines.try_recv() {
            self.hear(id, &line, &mut behind).await;
        }
    }

    async fn hear(&self, id: SessionId, line: &[u8], behind: &mut BTreeSet<SessionId>) {
        let heard: Heard = match serde_json::from_slice(line) {
            Ok(heard) => heard,
            // Not one of the kinds that the index knows; the recorder wrote it all the same.
            Err(_) => return,
        };
        if let Some(review) = Review::of(id, heard.seq, heard.ts, &heard.audit) {
            // The stream is read again at the next start: what is missed now comes then.
            if let Err(error) = self.store.put_review(&review).await {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the session index missed a review");
            }
            return;
        }
        if !store::concerns(&heard.audit.kind) {
            return;
        }
        let done = match behind.contains(&id) {
            true => self.read_again(id).await,
            false => self.follow(id, &heard).await,
        };
        match done {
            Ok(()) => {
                behind.remove(&id);
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(session = %id, error, "the session index missed an event");
                behind.insert(id);
            }
        }
    }

    async fn follow(&self, id: SessionId, heard: &Heard) -> Result<(), store::Error> {
        let before = self.store.session(id).await?;
        if before.is_none() && !matches!(heard.audit.kind, Kind::SessionStart(_)) {
            return self.read_again(id).await;
        }
        let after = store::apply(before.clone(), id, heard.seq, heard.ts, &heard.audit);
        match after {
            Some(after) if Some(&after) != before.as_ref() => self.store.put_session(&after).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn read_again(&self, id: SessionId) -> Result<(), store::Error> {
        if let Err(error) = self.recorder.cut(id).await {
            tracing::debug!(session = %id, error, "not cut: it is closed, or the recorder stops");
        }
        match self.recordings.row(id).await? {
            Some(row) => self.store.put_session(&row).await,
            None => Ok(()),
        }
    }

    /// Every session that the index lacks or takes for running, and those of `behind`.
    async fn catch_up(&self, behind: &BTreeSet<SessionId>) {
        let done = async {
            for (id, active) in self.store.session_ids().await? {
                if active && let Err(error) = self.recorder.cut(id).await {
                    tracing::debug!(session = %id, error, "not cut: it is closed");
                }
            }
            for id in behind {
                self.read_again(*id).await?;
            }
            self.store.catch_up(&self.recordings).await
        };
        if let Err(error) = done.await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(
                error,
                "the session index could not catch up with the recordings"
            );
        }
    }
}
