//! Free ids: a line has the millisecond in which it happened, or the next that no line has.

use super::line::Class;
use super::write::writing;
use crate::store::sqlite::Error;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeSet;

/// Milliseconds looked at ahead.
const AHEAD: i64 = 4096;

/// Taken in order of time, by one transaction.
#[derive(Default)]
pub(super) struct Slots {
    /// The last one that was given out.
    last: Option<i64>,
    taken: BTreeSet<i64>,
    /// What is known: from, and up to.
    known: Option<(i64, i64)>,
}

impl Slots {
    pub(super) async fn take(
        &mut self,
        change: &mut SqliteConnection,
        class: Class,
        wanted: i64,
    ) -> Result<i64, Error> {
        let next = self.last.map_or(i64::MIN, |last| last.saturating_add(1));
        let mut id = wanted.max(next);
        loop {
            let is_known = self
                .known
                .is_some_and(|(from, to)| (from..=to).contains(&id));
            if !is_known {
                self.look(change, class, id).await?;
            }
            if !self.taken.contains(&id) {
                self.last = Some(id);
                return Ok(id);
            }
            id = id.saturating_add(1);
        }
    }

    async fn look(
        &mut self,
        change: &mut SqliteConnection,
        class: Class,
        from: i64,
    ) -> Result<(), Error> {
        let to = from.saturating_add(AHEAD);
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM ");
        query.push(class.name()).push(" WHERE id BETWEEN ");
        query.push_bind(from).push(" AND ").push_bind(to);
        let ids = query.build_query_scalar().fetch_all(change).await;
        self.taken = ids.map_err(writing)?.into_iter().collect();
        self.known = Some((from, to));
        Ok(())
    }
}
