//! How far sessions are in the index.

use super::write::reading;
use crate::id::SessionId;
use crate::store::sqlite::{Error, Store};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How far a session is in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// It ended, and all of it is in.
    pub whole: bool,
    /// So is what was on its screens.
    pub screen: bool,
    /// Lines of its screens beyond the bound.
    pub left_out: u64,
}

impl Progress {
    /// Whether its recording is to be read.
    pub fn lacks(&self, screen: bool) -> bool {
        !self.whole || (screen && !self.screen)
    }
}

impl Store {
    /// Every session that has a line in the index, or could have one.
    pub async fn progress(&self) -> Result<BTreeMap<SessionId, Progress>, Error> {
        let rows: Vec<(String, bool, bool, i64)> =
            sqlx::query_as("SELECT session, whole, screen, left_out FROM search_sessions")
                .fetch_all(&self.pool)
                .await
                .map_err(reading)?;
        let progress = rows
            .into_iter()
            .filter_map(|(id, whole, screen, left_out)| {
                let progress = Progress {
                    whole,
                    screen,
                    left_out: u64::try_from(left_out).unwrap_or(0),
                };
                Some((id.parse().ok()?, progress))
            });
        Ok(progress.collect())
    }

    /// Of these sessions those of whose screens lines are missing, for there were too many; and how
    /// many.
    pub async fn left_out(
        &self,
        sessions: impl IntoIterator<Item = SessionId>,
    ) -> Result<BTreeMap<SessionId, u64>, Error> {
        let ids: BTreeSet<String> = sessions.into_iter().map(|id| id.to_string()).collect();
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT session, left_out FROM search_sessions
             WHERE left_out > 0 AND session IN (SELECT value FROM json_each(?))",
        )
        .bind(json!(ids).to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(reading)?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(id, lines)| Some((id.parse().ok()?, u64::try_from(lines).ok()?)))
            .collect())
    }

    /// Are there sessions that ended, and are not read yet?
    pub async fn is_behind(&self) -> Result<bool, Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sessions INDEXED BY sessions_ended \
             WHERE ended_ns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM search_sessions \
             INDEXED BY search_whole WHERE session = id AND whole = 1))",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(reading)
    }
}
