//! Queries over the index of sessions.

use super::row::{Certificate, Person, Reason, Row, Seen};
use super::sqlite::{Error, Store};
use crate::event::{End, Outcome, WhySource};
use crate::id::SessionId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

/// Every column, and the certificates as a JSON array of arrays.
const SELECT: &str = "SELECT s.*, (SELECT json_group_array(json_array(c.fingerprint, c.serial, c.ca))
     FROM session_certificates c WHERE c.session = s.id) AS certificates FROM sessions s WHERE 1 = 1";

/// Which sessions a list is about. Absent means any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub identity: Option<String>,
    pub target: Option<String>,
    pub login: Option<String>,
    pub ticket: Option<String>,
    /// Sessions that ended at or after this, or run.
    pub since: Option<DateTime<Utc>>,
    /// Sessions that started before this.
    pub until: Option<DateTime<Utc>>,
    pub active: bool,
    /// Only what nobody signed off.
    pub unreviewed: bool,
    /// Only ids that contain this.
    pub part: Option<Part>,
}

/// A piece of a session id, in its canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part(String);

impl Part {
    /// `None` if no session id can contain it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let fits = (1..=36).contains(&text.len());
        let spelled = text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        (fits && spelled).then_some(Self(text))
    }
}

impl Store {
    pub async fn session(&self, id: SessionId) -> Result<Option<Row>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(" AND s.id = ").push_bind(id.to_string());
        let found = query.build().fetch_optional(&self.pool).await;
        found.map_err(reading)?.map(|row| parse(&row)).transpose()
    }

    /// Newest first, at most `limit`, from those before `after` (the last row of the page before).
    pub async fn sessions(
        &self,
        filter: &Filter,
        after: Option<&Row>,
        limit: u32,
    ) -> Result<Vec<Row>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        for (column, value) in [
            (" AND s.identity = ", &filter.identity),
            (" AND s.target = ", &filter.target),
            (" AND s.login = ", &filter.login),
            (" AND s.ticket = ", &filter.ticket),
        ] {
            if let Some(value) = value {
                query.push(column).push_bind(value.clone());
            }
        }
        if let Some(since) = filter.since {
            query.push(" AND (s.ended_ns IS NULL OR s.ended_ns >= ");
            query.push_bind(nanoseconds(since)).push(")");
        }
        if let Some(until) = filter.until {
            query
                .push(" AND s.started_ns < ")
                .push_bind(nanoseconds(until));
        }
        if filter.active {
            query.push(" AND s.ended_ns IS NULL");
        }
        if filter.unreviewed {
            query.push(" AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.session = s.id)");
        }
        if let Some(Part(part)) = &filter.part {
            query
                .push(" AND instr(s.id, ")
                .push_bind(part.clone())
                .push(") > 0");
        }
        if let Some(after) = after {
            query.push(" AND (s.started_ns, s.id) < (");
            query.push_bind(nanoseconds(after.start)).push(", ");
            query.push_bind(after.id.to_string()).push(")");
        }
        query.push(" ORDER BY s.started_ns DESC, s.id DESC LIMIT ");
        query.push_bind(i64::from(limit));
        let found = query.build().fetch_all(&self.pool).await.map_err(reading)?;
        found.iter().map(parse).collect()
    }

    /// Everybody who has a session, at most `limit` of them, by jumps over the index.
    pub async fn identities(&self, limit: u32) -> Result<Vec<String>, Error> {
        sqlx::query_scalar(
            "WITH RECURSIVE person (name) AS (
                 SELECT min(identity) FROM sessions
                 UNION ALL
                 SELECT (SELECT min(identity) FROM sessions WHERE identity > person.name)
                 FROM person WHERE person.name IS NOT NULL
             )
             SELECT name FROM person WHERE name IS NOT NULL LIMIT ?",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(reading)
    }

    /// Puts a row in place of the one of that session; not over one that knows more of a session
    /// that still runs.
    pub async fn put_session(&self, row: &Row) -> Result<(), Error> {
        let mut change = self.change().await?;
        let (ended, reason) = row.end.unzip();
        let written = sqlx::query(
            "INSERT INTO sessions (id, identity, source_ip, node, target, login, door, started_ns,
                 ended_ns, end_reason, outcome, justification, ticket, why_source, channels,
                 input_bytes, output_bytes, ran, refused, gaps, last_seq)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET identity = excluded.identity,
                 source_ip = excluded.source_ip, node = excluded.node, target = excluded.target,
                 login = excluded.login, door = excluded.door, started_ns = excluded.started_ns,
                 ended_ns = excluded.ended_ns, end_reason = excluded.end_reason,
                 outcome = excluded.outcome, justification = excluded.justification,
                 ticket = excluded.ticket, why_source = excluded.why_source,
                 channels = excluded.channels, input_bytes = excluded.input_bytes,
                 output_bytes = excluded.output_bytes,
                 ran = excluded.ran, refused = excluded.refused, gaps = excluded.gaps, last_seq = excluded.last_seq
             WHERE excluded.ended_ns IS NOT NULL OR excluded.last_seq >= sessions.last_seq",
        )
        .bind(row.id.to_string())
        .bind(row.who.identity.as_ref().map(ToString::to_string))
        .bind(&row.who.source_ip)
        .bind(&row.node)
        .bind(&row.target)
        .bind(&row.login)
        .bind(&row.door)
        .bind(nanoseconds(row.start))
        .bind(ended.map(nanoseconds))
        .bind(reason.and_then(word))
        .bind(word(row.outcome))
        .bind(&row.why.justification)
        .bind(&row.why.ticket)
        .bind(row.why.source.and_then(word))
        .bind(signed(row.channels))
        .bind(signed(row.input_bytes))
        .bind(signed(row.output_bytes))
        .bind(ran(&row.seen))
        .bind(signed(row.seen.refused))
        .bind(signed(row.seen.gaps))
        .bind(signed(row.last_seq))
        .execute(&mut *change)
        .await
        .map_err(writing)?;
        if written.rows_affected() > 0 {
            sqlx::query("DELETE FROM session_certificates WHERE session = ?")
                .bind(row.id.to_string())
                .execute(&mut *change)
                .await
                .map_err(writing)?;
            for certificate in &row.who.certificates {
                sqlx::query("INSERT INTO session_certificates VALUES (?, ?, ?, ?)")
                    .bind(row.id.to_string())
                    .bind(&certificate.fingerprint)
                    .bind(certificate.serial.to_string())
                    .bind(&certificate.ca)
                    .execute(&mut *change)
                    .await
                    .map_err(writing)?;
            }
        }
        change.commit().await.map_err(writing)
    }

    pub async fn forget_session(&self, id: SessionId) -> Result<(), Error> {
        let deleted = sqlx::query("DELETE FROM sessions WHERE id = ?")
            .bind(id.to_string())
            .execute(&self.pool)
            .await;
        deleted.map(|_| ()).map_err(writing)
    }

    /// All ids of the index, and whether they run as far as it knows. A row whose id is none is
    /// removed: no recording can have it.
    pub async fn session_ids(&self) -> Result<Vec<(SessionId, bool)>, Error> {
        let rows: Vec<(String, bool)> =
            sqlx::query_as("SELECT id, ended_ns IS NULL FROM sessions ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(reading)?;
        let mut ids = Vec::with_capacity(rows.len());
        for (id, active) in rows {
            match id.parse() {
                Ok(id) => ids.push((id, active)),
                Err(_) => {
                    let deleted = sqlx::query("DELETE FROM sessions WHERE id = ?");
                    deleted
                        .bind(id)
                        .execute(&self.pool)
                        .await
                        .map_err(writing)?;
                }
            }
        }
        Ok(ids)
    }
}

fn parse(row: &SqliteRow) -> Result<Row, Error> {
    let text: String = row.try_get("id").map_err(reading)?;
    let damaged = |what| Error::Damaged {
        id: text.clone(),
        what,
    };
    let ended: Option<i64> = row.try_get("ended_ns").map_err(reading)?;
    let reason: Option<String> = row.try_get("end_reason").map_err(reading)?;
    let end = match (ended, reason) {
        (Some(time), Some(reason)) => Some((
            DateTime::from_timestamp_nanos(time),
            of_word::<End>(&reason).ok_or_else(|| damaged("end_reason"))?,
        )),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(damaged("ended_ns")),
    };
    let outcome: String = row.try_get("outcome").map_err(reading)?;
    let source: Option<String> = row.try_get("why_source").map_err(reading)?;
    let identity: Option<String> = row.try_get("identity").map_err(reading)?;
    let certificates: String = row.try_get("certificates").map_err(reading)?;
    let certificates: Vec<(String, String, String)> =
        serde_json::from_str(&certificates).map_err(|_| damaged("certificates"))?;
    let certificates = certificates.into_iter().map(|(fingerprint, serial, ca)| {
        let serial = serial.parse().map_err(|_| damaged("serial"))?;
        Ok(Certificate {
            fingerprint,
            serial,
            ca,
        })
    });
    let number = |column| {
        let value: i64 = row.try_get(column).map_err(reading)?;
        u64::try_from(value).map_err(|_| damaged(column))
    };
    let started: i64 = row.try_get("started_ns").map_err(reading)?;
    let ran: String = row.try_get("ran").map_err(reading)?;
    Ok(Row {
        id: text.parse().map_err(|_| damaged("id"))?,
        who: Person {
            identity: identity
                .map(|name| name.parse().map_err(|_| damaged("identity")))
                .transpose()?,
            source_ip: row.try_get("source_ip").map_err(reading)?,
            certificates: certificates.collect::<Result<_, Error>>()?,
        },
        target: row.try_get("target").map_err(reading)?,
        login: row.try_get("login").map_err(reading)?,
        node: row.try_get("node").map_err(reading)?,
        door: row.try_get("door").map_err(reading)?,
        start: DateTime::from_timestamp_nanos(started),
        end,
        outcome: of_word::<Outcome>(&outcome).ok_or_else(|| damaged("outcome"))?,
        why: Reason {
            justification: row.try_get("justification").map_err(reading)?,
            ticket: row.try_get("ticket").map_err(reading)?,
            source: source
                .map(|word| of_word::<WhySource>(&word).ok_or_else(|| damaged("why_source")))
                .transpose()?,
        },
        channels: number("channels")?,
        input_bytes: number("input_bytes")?,
        output_bytes: number("output_bytes")?,
        seen: Seen {
            ran: ran.split_whitespace().map(str::to_owned).collect(),
            refused: number("refused")?,
            gaps: number("gaps")?,
        },
        last_seq: number("last_seq")?,
    })
}

fn ran(seen: &Seen) -> String {
    let words: Vec<&str> = seen.ran.iter().map(String::as_str).collect();
    words.join(" ")
}

pub(super) fn reading(source: sqlx::Error) -> Error {
    Error::Query {
        doing: "read the session index",
        source,
    }
}

pub(super) fn writing(source: sqlx::Error) -> Error {
    Error::Query {
        doing: "write the session index",
        source,
    }
}

/// The word of an enum as events spell it.
fn word<T: Serialize>(value: T) -> Option<String> {
    serde_json::to_value(value)
        .ok()?
        .as_str()
        .map(str::to_owned)
}

fn of_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

/// Times beyond the year 2262 stand at its end.
pub(super) fn nanoseconds(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or(i64::MAX)
}

/// SQLite's integers are signed; counts of ours do not reach 2^63.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
