//! Lines into the index, and out of it.

use super::fold::{Kind, fold, term};
use super::line::{Class, Line, Start, Told};
use super::slots::Slots;
use crate::id::SessionId;
use crate::store::sqlite::{Error, Store};
use serde_json::json;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeSet;

/// Rows taken out at once.
const PAGE: i64 = 1000;

/// How much is in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub lines: u64,
    /// Lines of screens beyond the bound of a session.
    pub left_out: u64,
    /// The whole database, that of sessions with it.
    pub bytes: u64,
}

/// A session's line in `search_sessions`.
#[derive(Clone, Copy, sqlx::FromRow)]
struct Numbers {
    number: i64,
    identity: i64,
    target: i64,
    started_ms: i64,
}

impl Store {
    /// Puts lines in that are not there yet, all or none.
    pub async fn put_told(&self, session: SessionId, told: &[Told]) -> Result<(), Error> {
        let mut change = self.change().await?;
        for one in told {
            if let Told::Start(start) = one {
                begin(&mut change, session, start).await?;
            }
        }
        let numbers = match numbers(&mut change, session).await? {
            Some(numbers) => numbers,
            // Its start is damaged: it has lines all the same.
            None => {
                let start = Start {
                    identity: None,
                    target: None,
                    started: session.time().unwrap_or_default(),
                };
                begin(&mut change, session, &start).await?;
                let begun = numbers(&mut change, session).await?;
                begun.ok_or_else(|| writing(sqlx::Error::RowNotFound))?
            }
        };
        for class in Class::ALL {
            let lines = told.iter().filter_map(|one| match one {
                Told::Line(line) if line.class == class => Some(line),
                Told::Line(_) | Told::Start(_) | Told::Exit { .. } => None,
            });
            let lines: Vec<Line> = lines.cloned().flat_map(Line::pieces).collect();
            insert(&mut change, class, numbers, lines).await?;
        }
        for one in told {
            if let Told::Exit { channel, status } = one {
                exited(&mut change, numbers, *channel, *status).await?;
            }
        }
        change.commit().await.map_err(writing)
    }

    /// All of an ended session is in.
    pub(in crate::store) async fn finish_told(
        &self,
        session: SessionId,
        screen: bool,
        left_out: u64,
    ) -> Result<(), Error> {
        // A node's stream has no lines and no start.
        sqlx::query(
            "INSERT INTO search_sessions (session, identity, target, started_ms, whole, screen, left_out)
             VALUES (?, 0, 0, 0, 1, ?, ?)
             ON CONFLICT (session) DO UPDATE SET whole = excluded.whole, screen = excluded.screen,
                 left_out = excluded.left_out",
        )
        .bind(session.to_string())
        .bind(screen)
        .bind(i64::try_from(left_out).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await
        .map_err(writing)?;
        Ok(())
    }

    /// Takes a session's lines out.
    pub async fn forget_told(&self, session: SessionId) -> Result<(), Error> {
        let mut change = self.change().await?;
        if let Some(numbers) = numbers(&mut change, session).await? {
            for class in Class::ALL {
                while remove(&mut change, class, numbers).await? {}
            }
            sqlx::query("DELETE FROM search_sessions WHERE number = ?")
                .bind(numbers.number)
                .execute(&mut *change)
                .await
                .map_err(writing)?;
        }
        change.commit().await.map_err(writing)
    }

    /// Empties the index.
    pub async fn clear_told(&self) -> Result<(), Error> {
        for class in Class::ALL {
            self.clear(class).await?;
        }
        for table in ["search_sessions", "search_names"] {
            let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ");
            query.push(table);
            query.build().execute(&self.pool).await.map_err(writing)?;
        }
        Ok(())
    }

    /// Takes out what was on screens, where that is not to be found any more.
    pub async fn clear_screen(&self) -> Result<(), Error> {
        self.clear(Class::Screen).await?;
        sqlx::query("UPDATE search_sessions SET screen = 0, left_out = 0 WHERE screen = 1")
            .execute(&self.pool)
            .await
            .map_err(writing)?;
        Ok(())
    }

    async fn clear(&self, class: Class) -> Result<(), Error> {
        let (table, mut change) = (class.name(), self.change().await?);
        let mut rows = QueryBuilder::<Sqlite>::new("DELETE FROM ");
        rows.push(table);
        let mut terms = QueryBuilder::<Sqlite>::new("INSERT INTO ");
        terms.push(format_args!(
            "{table}_text ({table}_text) VALUES ('delete-all')"
        ));
        for mut query in [rows, terms] {
            let done = query.build().execute(&mut *change).await;
            done.map_err(writing)?;
        }
        change.commit().await.map_err(writing)
    }

    pub async fn told_size(&self) -> Result<Size, Error> {
        let mut lines = 0;
        for class in Class::ALL {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM ");
            query.push(class.name());
            let count: i64 = query
                .build_query_scalar()
                .fetch_one(&self.pool)
                .await
                .map_err(reading)?;
            lines += u64::try_from(count).unwrap_or(0);
        }
        let bytes: i64 = sqlx::query_scalar(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(reading)?;
        let left_out: Option<i64> = sqlx::query_scalar("SELECT sum(left_out) FROM search_sessions")
            .fetch_one(&self.pool)
            .await
            .map_err(reading)?;
        Ok(Size {
            lines,
            left_out: u64::try_from(left_out.unwrap_or(0)).unwrap_or(0),
            bytes: u64::try_from(bytes).unwrap_or(0),
        })
    }
}

async fn begin(
    change: &mut SqliteConnection,
    session: SessionId,
    start: &Start,
) -> Result<(), Error> {
    let identity = number_of(change, start.identity.as_deref()).await?;
    let target = number_of(change, start.target.as_deref()).await?;
    sqlx::query(
        "INSERT INTO search_sessions (session, identity, target, started_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (session) DO NOTHING",
    )
    .bind(session.to_string())
    .bind(identity)
    .bind(target)
    .bind(start.started.timestamp_millis())
    .execute(change)
    .await
    .map_err(writing)?;
    Ok(())
}

/// A name's number; 0 is nobody's.
async fn number_of(change: &mut SqliteConnection, name: Option<&str>) -> Result<i64, Error> {
    let Some(name) = name else {
        return Ok(0);
    };
    sqlx::query("INSERT INTO search_names (name) VALUES (?) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .execute(&mut *change)
        .await
        .map_err(writing)?;
    sqlx::query_scalar("SELECT number FROM search_names WHERE name = ?")
        .bind(name)
        .fetch_one(change)
        .await
        .map_err(writing)
}

async fn numbers(
    change: &mut SqliteConnection,
    session: SessionId,
) -> Result<Option<Numbers>, Error> {
    sqlx::query_as(
        "SELECT number, identity, target, started_ms FROM search_sessions WHERE session = ?",
    )
    .bind(session.to_string())
    .fetch_optional(change)
    .await
    .map_err(writing)
}

/// A few statements for any number of lines: their values go in as one JSON array.
async fn insert(
    change: &mut SqliteConnection,
    class: Class,
    numbers: Numbers,
    mut lines: Vec<Line>,
) -> Result<(), Error> {
    let known = known(change, class, numbers, &lines).await?;
    lines.retain(|line| !known.contains(&(line.seq, line.nth)));
    lines.sort_by_key(|line| (line.at, line.seq, line.nth));
    let mut slots = Slots::default();
    let (mut rows, mut texts) = (Vec::new(), Vec::new());
    for line in &lines {
        let at = i64::try_from(line.at.as_millis()).unwrap_or(i64::MAX);
        let wanted = numbers.started_ms.saturating_add(at);
        let id = slots.take(change, class, wanted).await?;
        rows.push(json!([
            id,
            line.seq,
            line.nth,
            at,
            line.channel,
            i64::from(line.is_exec),
            line.exit,
            line.confidence.map(|confidence| confidence as i64),
            line.text
        ]));
        texts.push(json!([id, fold(&line.text)]));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let table = class.name();
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
    query.push(table);
    query.push(" (session, id, seq, nth, at, channel, exec, exit, confidence, text) SELECT ");
    query.push_bind(numbers.number);
    query.push(
        ", value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
         value ->> 7, value ->> 8 FROM json_each(",
    );
    query.push_bind(serde_json::Value::from(rows).to_string());
    query.push(")");
    query.build().execute(&mut *change).await.map_err(writing)?;
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
    query.push(format_args!(
        "{table}_text (rowid, text, identity, target) "
    ));
    query.push("SELECT value ->> 0, value ->> 1, ");
    query.push_bind(term(Kind::Identity, numbers.identity));
    query.push(", ");
    query.push_bind(term(Kind::Target, numbers.target));
    query.push(" FROM json_each(");
    query.push_bind(serde_json::Value::from(texts).to_string());
    query.push(")");
    query.build().execute(change).await.map_err(writing)?;
    Ok(())
}

/// Which of these lines are in already.
async fn known(
    change: &mut SqliteConnection,
    class: Class,
    numbers: Numbers,
    lines: &[Line],
) -> Result<BTreeSet<(u64, u32)>, Error> {
    let first = lines.iter().map(|line| line.seq).min();
    let (Some(first), Some(last)) = (first, lines.iter().map(|line| line.seq).max()) else {
        return Ok(BTreeSet::new());
    };
    let mut query = QueryBuilder::<Sqlite>::new("SELECT seq, nth FROM ");
    query.push(class.name()).push(" WHERE session = ");
    query.push_bind(numbers.number).push(" AND seq BETWEEN ");
    query.push_bind(signed(first)).push(" AND ");
    query.push_bind(signed(last));
    let rows: Vec<(i64, i64)> = query
        .build_query_as()
        .fetch_all(change)
        .await
        .map_err(writing)?;
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(seq, nth)| Some((u64::try_from(seq).ok()?, u32::try_from(nth).ok()?)))
        .collect())
}

/// A channel has one exec.
async fn exited(
    change: &mut SqliteConnection,
    numbers: Numbers,
    channel: u32,
    status: i64,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE commands SET exit = ? WHERE exit IS NULL AND id = (SELECT id FROM commands
         WHERE session = ? AND channel = ? AND exec = 1 ORDER BY seq DESC LIMIT 1)",
    )
    .bind(status)
    .bind(numbers.number)
    .bind(i64::from(channel))
    .execute(change)
    .await
    .map_err(writing)?;
    Ok(())
}

/// A page of a session's lines goes; false when there were none. The index forgets a line by the
/// words that it was told.
async fn remove(
    change: &mut SqliteConnection,
    class: Class,
    numbers: Numbers,
) -> Result<bool, Error> {
    let table = class.name();
    let mut query = QueryBuilder::<Sqlite>::new("SELECT id, text FROM ");
    query.push(table).push(" WHERE session = ");
    query.push_bind(numbers.number).push(" LIMIT ");
    query.push_bind(PAGE);
    let rows: Vec<(i64, String)> = query
        .build_query_as()
        .fetch_all(&mut *change)
        .await
        .map_err(writing)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let texts = rows.iter().map(|(id, text)| json!([id, fold(text)]));
    let texts: Vec<serde_json::Value> = texts.collect();
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
    query.push(format_args!(
        "{table}_text ({table}_text, rowid, text, identity, target) "
    ));
    query.push("SELECT 'delete', value ->> 0, value ->> 1, ");
    query.push_bind(term(Kind::Identity, numbers.identity));
    query.push(", ");
    query.push_bind(term(Kind::Target, numbers.target));
    query.push(" FROM json_each(");
    query.push_bind(serde_json::Value::from(texts).to_string());
    query.push(")");
    query.build().execute(&mut *change).await.map_err(writing)?;
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ");
    query
        .push(table)
        .push(" WHERE id IN (SELECT value FROM json_each(");
    query.push_bind(json!(ids).to_string()).push("))");
    query.build().execute(change).await.map_err(writing)?;
    Ok(true)
}

pub(super) fn reading(source: sqlx::Error) -> Error {
    Error::Query {
        doing: "read the search index",
        source,
    }
}

pub(super) fn writing(source: sqlx::Error) -> Error {
    Error::Query {
        doing: "write the search index",
        source,
    }
}

/// SQLite's integers are signed; numbers of ours do not reach 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
