//! Which pieces of a phrase are rare: an index is quick where few lines have the pieces that it is
//! asked for. Told from a sample; a wrong guess costs time and never a line.

use super::fold::fold;
use super::line::Class;
use super::phrase::terms_of;
use super::write::reading;
use crate::store::sqlite::{Error, Store};
use sqlx::{QueryBuilder, Sqlite};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces asked of the index at once: the rarest few leave hardly a line that has not the phrase.
const TERMS_MAX: usize = 3;
/// The sample: so many places over the whole table, so many lines from each, the start of each.
const PLACES: i64 = 20;
const LINES: i64 = 250;
const CHARS: usize = 200;
/// A small sample is made again each time; a full one when lines this much newer are there.
const FULL: usize = 1000;
const AGE_MS: i64 = 3_600_000; // an hour

/// Samples of a store, by class.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    samples: Mutex<BTreeMap<Class, Arc<Sample>>>,
}

#[derive(Debug, Default)]
struct Sample {
    newest: i64,
    lines: usize,
    counts: HashMap<[char; 3], u32>,
}

impl Store {
    /// The rarest of these terms.
    pub(super) async fn rarest(
        &self,
        class: Class,
        terms: BTreeSet<String>,
    ) -> Result<Vec<String>, Error> {
        if terms.len() <= TERMS_MAX {
            return Ok(terms.into_iter().collect());
        }
        let sample = self.sample(class).await?;
        let count = |term: &String| {
            let chars: Vec<char> = term.chars().collect();
            let known: Option<[char; 3]> = chars.try_into().ok();
            known.and_then(|chars| sample.counts.get(&chars).copied())
        };
        let mut terms: Vec<String> = terms.into_iter().collect();
        terms.sort_by_key(|term| count(term).unwrap_or(0));
        terms.truncate(TERMS_MAX);
        Ok(terms)
    }

    async fn sample(&self, class: Class) -> Result<Arc<Sample>, Error> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT min(id), max(id) FROM ");
        query.push(class.name());
        let (first, last): (Option<i64>, Option<i64>) = query
            .build_query_as()
            .fetch_one(&self.pool)
            .await
            .map_err(reading)?;
        let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
        let known = self.rare.known(class);
        if let Some(known) = known
            && known.lines >= FULL
            && (0..AGE_MS).contains(&(last - known.newest))
        {
            return Ok(known);
        }
        let mut lines: Vec<String> = Vec::new();
        let step = (last - first) / PLACES + 1;
        for place in 0..PLACES {
            let from = first + place * step;
            let mut query = QueryBuilder::<Sqlite>::new("SELECT text FROM ");
            query.push(class.name()).push(" WHERE id >= ");
            query.push_bind(from).push(" AND id < ");
            query.push_bind(from + step).push(" ORDER BY id LIMIT ");
            query.push_bind(LINES);
            let page = query.build_query_scalar().fetch_all(&self.pool).await;
            lines.extend(page.map_err(reading)?);
        }
        let counted = tokio::task::spawn_blocking(move || count(last, &lines)).await;
        // A runtime that stops gives no answer that anybody waits for.
        let sample = Arc::new(counted.unwrap_or_default());
        self.rare.learn(class, &sample);
        Ok(sample)
    }
}

impl Rare {
    fn known(&self, class: Class) -> Option<Arc<Sample>> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.get(&class).cloned()
    }

    fn learn(&self, class: Class, sample: &Arc<Sample>) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.insert(class, Arc::clone(sample));
    }
}

fn count(newest: i64, lines: &[String]) -> Sample {
    let mut counts = HashMap::new();
    for line in lines {
        let start: String = line.chars().take(CHARS).collect();
        for term in terms_of(&fold(&start)) {
            *counts.entry(term).or_insert(0) += 1;
        }
    }
    Sample {
        newest,
        lines: lines.len(),
        counts,
    }
}
