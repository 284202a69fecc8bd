//! One session, as the list shows it.

use crate::event::{CertificateFacts, End, Outcome, WhySource};
use crate::id::{SessionId, Subject};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{SerializeStruct, Serializer};
use std::collections::BTreeSet;

/// A session of the index. `Serialize` is what `sessions --json` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: SessionId,
    pub who: Person,
    pub target: Option<String>,
    pub login: Option<String>,
    pub node: Option<String>,
    pub door: String,
    pub start: DateTime<Utc>,
    /// Time and reason, once it ended.
    pub end: Option<(DateTime<Utc>, End)>,
    pub outcome: Outcome,
    pub why: Reason,
    pub channels: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub seen: Seen,
    /// Number of the last event that is in here.
    pub last_seq: u64,
}

/// What its events tell at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `shell`, `exec`, and subsystems by their name.
    pub ran: BTreeSet<String>,
    /// Requests that were denied.
    pub refused: u64,
    /// Recorded holes.
    pub gaps: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub identity: Option<Subject>,
    pub source_ip: Option<String>,
    /// The first, and those that renewed the session.
    pub certificates: BTreeSet<Certificate>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    pub justification: Option<String>,
    pub ticket: Option<String>,
    pub source: Option<WhySource>,
}

/// What makes two certificates the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    pub fingerprint: String,
    pub serial: u64,
    pub ca: String,
}

impl From<&CertificateFacts> for Certificate {
    fn from(facts: &CertificateFacts) -> Self {
        Self {
            fingerprint: facts.fingerprint.clone(),
            serial: facts.serial,
            ca: facts.ca.clone(),
        }
    }
}

impl Row {
    pub fn active(&self) -> bool {
        self.end.is_none()
    }
}

/// RFC 3339 with all nanoseconds, in UTC, so that texts sort as times do.
fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

impl serde::Serialize for Row {
    /// Exactly these, whatever else a row learns: scripts rely on them.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut row = to.serialize_struct("session", 15)?;
        row.serialize_field("id", &self.id)?;
        row.serialize_field("identity", &self.who.identity)?;
        row.serialize_field("target", &self.target)?;
        row.serialize_field("login", &self.login)?;
        row.serialize_field("door", &self.door)?;
        row.serialize_field("start", &rfc3339(self.start))?;
        row.serialize_field("end", &self.end.map(|(time, _)| rfc3339(time)))?;
        row.serialize_field("active", &self.active())?;
        row.serialize_field("end_reason", &self.end.map(|(_, reason)| reason))?;
        row.serialize_field("outcome", &self.outcome)?;
        row.serialize_field("justification", &self.why.justification)?;
        row.serialize_field("ticket", &self.why.ticket)?;
        row.serialize_field("channels", &self.channels)?;
        row.serialize_field("input_bytes", &self.input_bytes)?;
        row.serialize_field("output_bytes", &self.output_bytes)?;
        row.end()
    }
}
