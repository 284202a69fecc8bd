//! One access: who, what, when, where, why and where the why came from, and how it ended.

use super::section::cell;
use crate::store::Row;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

pub(super) const COLUMNS: [&str; 20] = [
    "session",
    "identity",
    "source_ip",
    "target",
    "login",
    "door",
    "ran",
    "start",
    "end",
    "seconds",
    "outcome",
    "ended",
    "reason",
    "ticket",
    "reason_source",
    "input_bytes",
    "output_bytes",
    "refused",
    "gaps",
    "reviews",
];

/// The cells of [`COLUMNS`].
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) cells: [String; 20],
}

impl Access {
    /// `now` ends what runs still.
    pub fn new(row: &Row, reviews: u64, now: DateTime<Utc>) -> Self {
        let word = |text: Option<&str>| text.map(cell).unwrap_or_default();
        let (end, ended) = row.end.unzip();
        let ran: Vec<&str> = row.seen.ran.iter().map(String::as_str).collect();
        Self {
            cells: [
                row.id.to_string(),
                word(row.who.identity.as_ref().map(|who| who.as_str())),
                word(row.who.source_ip.as_deref()),
                word(row.target.as_deref()),
                word(row.login.as_deref()),
                cell(&row.door),
                cell(&ran.join(" ")),
                time(row.start),
                end.map(time).unwrap_or_default(),
                seconds(row, now).to_string(),
                name_of(&row.outcome),
                ended.map_or_else(|| "active".to_owned(), |ended| name_of(&ended)),
                word(row.why.justification.as_deref()),
                word(row.why.ticket.as_deref()),
                row.why
                    .source
                    .map(|source| name_of(&source))
                    .unwrap_or_default(),
                row.input_bytes.to_string(),
                row.output_bytes.to_string(),
                row.seen.refused.to_string(),
                row.seen.gaps.to_string(),
                reviews.to_string(),
            ],
        }
    }
}

pub(super) fn seconds(row: &Row, now: DateTime<Utc>) -> i64 {
    let end = row.end.map_or(now, |(end, _)| end);
    (end - row.start).num_seconds().max(0)
}

/// UTC, to the second: a report is compared with other systems' lists.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As events spell it.
pub(super) fn name_of<T: Serialize>(word: &T) -> String {
    let name = serde_json::to_value(word).ok();
    let name = name.as_ref().and_then(serde_json::Value::as_str);
    name.unwrap_or_default().to_owned()
}
