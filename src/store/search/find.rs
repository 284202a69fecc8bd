//! Lines out of the index, newest first.

use super::fold::{Kind, term};
use super::line::{Class, PIECES_MAX};
use super::phrase::{Phrase, all_of, one_of};
use super::write::reading;
use crate::event::Confidence;
use crate::id::SessionId;
use crate::store::row::Row;
use crate::store::sessions::Filter;
use crate::store::sqlite::{Error, Store};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{QueryBuilder, Sqlite};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Lines looked at in one search and class. Words that stand together in fewer lines are all found.
const VISITED_MAX: usize = 200_000;
/// Lines asked of the index at once: few first, for the newest are near.
const PAGE_MIN: usize = 128;
const PAGE_MAX: usize = 8192;
/// People named to the index at once; of more it is asked for everybody's lines.
const OWNERS_MAX: usize = 64;

/// What is looked for. A filter's times are those of lines.
#[derive(Clone, Debug)]
pub struct Search {
    pub phrase: Phrase,
    pub classes: Vec<Class>,
    pub filter: Filter,
    pub exit: Option<i64>,
    /// At least so sure.
    pub confidence: Option<Confidence>,
    /// Whose sessions may be seen at all, where that is not everybody's: those of others are not
    /// even looked at.
    pub owners: Option<Vec<String>>,
    pub limit: usize,
}

/// A line that has the phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub class: Class,
    pub session: Arc<Row>,
    pub seq: u64,
    /// Since the session started.
    pub at: Duration,
    pub time: DateTime<Utc>,
    pub channel: Option<u32>,
    pub exit: Option<i64>,
    pub confidence: Option<Confidence>,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// There are older ones.
    pub more: bool,
    /// Nothing before this was looked at: too many lines came near.
    pub back_to: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Candidate {
    sid: String,
    seq: i64,
    nth: i64,
    at: i64,
    channel: Option<i64>,
    exit: Option<i64>,
    confidence: Option<i64>,
    text: String,
}

/// Rows of sessions met so far, and whether they may be seen.
type Sessions = HashMap<String, Option<Arc<Row>>>;

impl Store {
    /// Lines of sessions that `allow` lets through.
    pub async fn search(
        &self,
        search: &Search,
        mut allow: impl FnMut(&Row) -> bool + Send,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut sessions = Sessions::new();
        for class in &search.classes {
            self.look_in(*class, search, &mut sessions, &mut allow, &mut found)
                .await?;
        }
        let place = |hit: &Hit| (hit.time, hit.session.id, hit.seq);
        found.hits.sort_by_key(|hit| Reverse(place(hit)));
        found.more |= found.hits.len() > search.limit;
        found.hits.truncate(search.limit);
        Ok(found)
    }

    async fn look_in(
        &self,
        class: Class,
        search: &Search,
        sessions: &mut Sessions,
        allow: &mut (impl FnMut(&Row) -> bool + Send),
        found: &mut Found,
    ) -> Result<(), Error> {
        let Some(terms) = self.terms(class, search).await? else {
            return Ok(());
        };
        let since = search
            .filter
            .since
            .map_or(i64::MIN, |time| time.timestamp_millis());
        let until = search.filter.until.map(|time| time.timestamp_millis());
        let mut below = until.unwrap_or(i64::MAX);
        let (mut count, mut visited) = (0, 0);
        let mut page = search.limit.clamp(PAGE_MIN, PAGE_MAX);
        let mut last = None;
        loop {
            let ids = self
                .candidates(class, terms.as_deref(), (since, below), page)
                .await?;
            let Some(&lowest) = ids.last() else {
                return Ok(());
            };
            for candidate in self.lines(class, search, &ids).await? {
                let number = candidate.nth / i64::from(PIECES_MAX);
                let Some(hit) = self.hit(class, search, candidate, sessions, allow).await? else {
                    continue;
                };
                // Pieces of one long line are one line.
                let this = (hit.session.id, hit.seq, number);
                if class != Class::Screen && last.replace(this) == Some(this) {
                    continue;
                }
                if count == search.limit {
                    found.more = true;
                    return Ok(());
                }
                count += 1;
                found.hits.push(hit);
            }
            visited += ids.len();
            if visited >= VISITED_MAX {
                let time = DateTime::from_timestamp_millis(lowest);
                found.back_to = found.back_to.max(time);
                return Ok(());
            }
            below = lowest;
            page = (page * 2).min(PAGE_MAX);
        }
    }

    /// What the index is asked for: nothing where every line is gone through. `None` where no line
    /// can fit.
    async fn terms(&self, class: Class, search: &Search) -> Result<Option<Option<String>>, Error> {
        let rarest = self.rarest(class, search.phrase.terms()).await?;
        let mut parts = Vec::new();
        if !rarest.is_empty() {
            parts.push(all_of(&rarest));
        }
        for (kind, name) in [
            (Kind::Identity, &search.filter.identity),
            (Kind::Target, &search.filter.target),
        ] {
            if let Some(name) = name {
                match self.term_of(kind, name).await? {
                    Some(term) => parts.push(all_of([&term])),
                    None => return Ok(None),
                }
            }
        }
        if let Some(owners) = &search.owners
            && owners.len() <= OWNERS_MAX
        {
            let mut terms = Vec::new();
            for owner in owners {
                terms.extend(self.term_of(Kind::Identity, owner).await?);
            }
            if terms.is_empty() {
                return Ok(None);
            }
            parts.push(one_of(&terms));
        }
        let asked = parts.join(" AND ");
        Ok(Some((!asked.is_empty()).then_some(asked)))
    }

    async fn term_of(&self, kind: Kind, name: &str) -> Result<Option<String>, Error> {
        let number: Option<i64> =
            sqlx::query_scalar("SELECT number FROM search_names WHERE name = ?")
                .bind(name)
                .fetch_optional(&self.pool)
                .await
                .map_err(reading)?;
        Ok(number.map(|number| term(kind, number)))
    }

    /// Newest first: ids of lines that may have the phrase.
    async fn candidates(
        &self,
        class: Class,
        terms: Option<&str>,
        (since, below): (i64, i64),
        page: usize,
    ) -> Result<Vec<i64>, Error> {
        let table = class.name();
        let mut query = QueryBuilder::<Sqlite>::new("SELECT rowid FROM ");
        match terms {
            Some(terms) => {
                query.push(format_args!("{table}_text WHERE {table}_text MATCH "));
                query.push_bind(terms.to_owned());
            }
            None => {
                query.push(format_args!("{table} WHERE 1 = 1"));
            }
        }
        query.push(" AND rowid >= ").push_bind(since);
        query.push(" AND rowid < ").push_bind(below);
        query.push(" ORDER BY rowid DESC LIMIT ");
        query.push_bind(i64::try_from(page).unwrap_or(i64::MAX));
        query
            .build_query_scalar()
            .fetch_all(&self.pool)
            .await
            .map_err(reading)
    }

    /// Those of them that the other filters let through.
    async fn lines(
        &self,
        class: Class,
        search: &Search,
        ids: &[i64],
    ) -> Result<Vec<Candidate>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT n.session AS sid, c.seq, c.nth, c.at, c.channel, c.exit, c.confidence, c.text
             FROM json_each(",
        );
        query.push_bind(json!(ids).to_string());
        query.push(format_args!(
            ") j CROSS JOIN {} c ON c.id = j.value
             CROSS JOIN search_sessions n ON n.number = c.session
             CROSS JOIN sessions s ON s.id = n.session WHERE 1 = 1",
            class.name()
        ));
        let filter = &search.filter;
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
        if filter.active {
            query.push(" AND s.ended_ns IS NULL");
        }
        if let Some(exit) = search.exit {
            query.push(" AND c.exit = ").push_bind(exit);
        }
        if let Some(confidence) = search.confidence {
            query.push(" AND c.confidence >= ");
            query.push_bind(confidence as i64);
        }
        query.push(" ORDER BY c.id DESC");
        query
            .build_query_as()
            .fetch_all(&self.pool)
            .await
            .map_err(reading)
    }

    async fn hit(
        &self,
        class: Class,
        search: &Search,
        line: Candidate,
        sessions: &mut Sessions,
        allow: &mut (impl FnMut(&Row) -> bool + Send),
    ) -> Result<Option<Hit>, Error> {
        if search.phrase.position(&line.text).is_none() {
            return Ok(None);
        }
        let known = sessions.get(&line.sid).cloned();
        let session = match known {
            Some(known) => known,
            None => {
                let row = match line.sid.parse::<SessionId>() {
                    Ok(id) => self.session(id).await?,
                    Err(_) => None,
                };
                let row = row.filter(|row| allow(row)).map(Arc::new);
                sessions.insert(line.sid, row.clone());
                row
            }
        };
        let at = Duration::from_millis(u64::try_from(line.at).unwrap_or(0));
        Ok(session.map(|session| Hit {
            class,
            time: session.start + at,
            session,
            seq: u64::try_from(line.seq).unwrap_or(0),
            at,
            channel: line.channel.and_then(|channel| u32::try_from(channel).ok()),
            exit: line.exit,
            confidence: line.confidence.and_then(confidence),
            text: line.text,
        }))
    }
}

fn confidence(number: i64) -> Option<Confidence> {
    [Confidence::Low, Confidence::Medium, Confidence::High]
        .into_iter()
        .find(|confidence| *confidence as i64 == number)
}
