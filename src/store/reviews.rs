//! Who signed off which session, and who was here when.

use super::sessions::{nanoseconds, reading, signed, writing};
use super::sqlite::{Error, Store};
use crate::event::{Audit, Kind};
use crate::id::{Seq, SessionId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Reviews of one session that are read.
const REVIEWS_MAX: u32 = 1000;
/// People that are read: more than any report shows.
const PEOPLE_MAX: u32 = 10_000;

/// A session was looked at and signed off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    #[serde(skip)]
    pub session: SessionId,
    pub identity: String,
    pub at: DateTime<Utc>,
    pub note: String,
    /// Where the event stands.
    #[serde(skip)]
    pub source: (SessionId, Seq),
}

impl Review {
    /// `None` for every other event, and for one that was denied.
    pub fn of(stream: SessionId, seq: Seq, at: DateTime<Utc>, audit: &Audit) -> Option<Self> {
        let Kind::Review { session, note } = &audit.kind else {
            return None;
        };
        if audit.outcome != crate::event::Outcome::Success {
            return None;
        }
        let who = audit.who.as_deref()?;
        let subject = who.subject.as_ref().map(ToString::to_string);
        Some(Self {
            session: *session,
            identity: subject.or_else(|| who.name.clone())?,
            at,
            note: note.clone(),
            source: (stream, seq),
        })
    }
}

/// Somebody of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeen {
    pub identity: String,
    pub at: DateTime<Utc>,
    pub sessions: u64,
}

impl Store {
    /// Once, however often the event is met.
    pub async fn put_review(&self, review: &Review) -> Result<(), Error> {
        let (stream, seq) = review.source;
        sqlx::query("INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?, ?)")
            .bind(stream.to_string())
            .bind(signed(seq.0))
            .bind(review.session.to_string())
            .bind(&review.identity)
            .bind(nanoseconds(review.at))
            .bind(&review.note)
            .execute(&self.pool)
            .await
            .map_err(writing)?;
        Ok(())
    }

    /// Of one session, oldest first.
    pub async fn reviews(&self, session: SessionId) -> Result<Vec<Review>, Error> {
        let rows: Vec<(String, i64, String, i64, String)> = sqlx::query_as(
            "SELECT stream, seq, identity, at_ns, note FROM reviews WHERE session = ?
             ORDER BY at_ns, stream, seq LIMIT ?",
        )
        .bind(session.to_string())
        .bind(REVIEWS_MAX)
        .fetch_all(&self.pool)
        .await
        .map_err(reading)?;
        let reviews = rows.into_iter().map(|(stream, seq, identity, at, note)| {
            let damaged = || Error::Damaged {
                id: session.to_string(),
                what: "reviews",
            };
            let seq = Seq(u64::try_from(seq).map_err(|_| damaged())?);
            Ok(Review {
                session,
                identity,
                at: DateTime::from_timestamp_nanos(at),
                note,
                source: (stream.parse().map_err(|_| damaged())?, seq),
            })
        });
        reviews.collect()
    }

    /// How often each session was signed off.
    pub async fn reviewed(&self) -> Result<BTreeMap<SessionId, u64>, Error> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT session, count(*) FROM reviews GROUP BY session")
                .fetch_all(&self.pool)
                .await
                .map_err(reading)?;
        let known = rows.into_iter().filter_map(|(id, count)| {
            let count = u64::try_from(count).ok()?;
            Some((id.parse().ok()?, count))
        });
        Ok(known.collect())
    }

    /// People with a session, none of whose runs or ended after `since`; longest away first.
    pub async fn not_seen(&self, since: DateTime<Utc>) -> Result<Vec<LastSeen>, Error> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT identity, max(coalesce(ended_ns, 9223372036854775807)) AS last, count(*)
             FROM sessions WHERE identity IS NOT NULL GROUP BY identity
             HAVING last < ? ORDER BY last, identity LIMIT ?",
        )
        .bind(nanoseconds(since))
        .bind(PEOPLE_MAX)
        .fetch_all(&self.pool)
        .await
        .map_err(reading)?;
        let people = rows.into_iter().map(|(identity, at, sessions)| LastSeen {
            identity,
            at: DateTime::from_timestamp_nanos(at),
            sessions: u64::try_from(sessions).unwrap_or(0),
        });
        Ok(people.collect())
    }

    /// Nodes' streams that need not be read again.
    pub(super) async fn read_streams(&self) -> Result<BTreeSet<SessionId>, Error> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT id FROM node_streams")
            .fetch_all(&self.pool)
            .await
            .map_err(reading)?;
        Ok(rows.iter().filter_map(|(id,)| id.parse().ok()).collect())
    }

    pub(super) async fn note_read(&self, stream: SessionId) -> Result<(), Error> {
        sqlx::query("INSERT OR IGNORE INTO node_streams VALUES (?)")
            .bind(stream.to_string())
            .execute(&self.pool)
            .await
            .map_err(writing)?;
        Ok(())
    }

    pub(super) async fn forget_reviews(&self) -> Result<(), Error> {
        for statement in ["DELETE FROM reviews", "DELETE FROM node_streams"] {
            sqlx::query(statement)
                .execute(&self.pool)
                .await
                .map_err(writing)?;
        }
        Ok(())
    }
}
