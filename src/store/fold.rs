//! Events of a session, folded into its row. Pure: live and rebuilt rows are equal because both
//! are made here.

use super::row::{Certificate, Person, Reason, Row, Seen};
use crate::event::{Audit, Kind, Outcome, Who, Why};
use crate::id::{Seq, SessionId};
use chrono::{DateTime, Utc};

/// Whether an event of this kind changes a row at all.
pub fn concerns(kind: &Kind) -> bool {
    runs(kind).is_some()
        || matches!(
            kind,
            Kind::SessionStart(_)
                | Kind::SessionEnd { .. }
                | Kind::SessionRenew { .. }
                | Kind::ChannelOpen { .. }
                | Kind::ChannelClose(_)
                | Kind::ForwardClose(_)
                | Kind::Gap { .. }
        )
}

/// What it starts, in a word.
#[expect(clippy::wildcard_enum_match_arm, reason = "other kinds start nothing")]
fn runs(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Shell { .. } => Some("shell".to_owned()),
        Kind::Exec { .. } => Some("exec".to_owned()),
        Kind::ForwardOpen(_) => Some("forward".to_owned()),
        // The name is a person's: one word, and no longer than those that exist.
        Kind::Subsystem { name, .. } => {
            let name = name.split_whitespace().next().unwrap_or("subsystem");
            Some(name.chars().take(WORD_CHARS_MAX).collect())
        }
        _ => None,
    }
}

/// Of a subsystem's name.
const WORD_CHARS_MAX: usize = 32;
/// Different words of one session.
const WORDS_MAX: usize = 8;

/// The row after this event. An event that is already in the row, that does not concern it, or
/// that comes before the start changes nothing.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what does not concern the row was sorted out before"
)]
pub fn apply(
    row: Option<Row>,
    id: SessionId,
    seq: Seq,
    ts: DateTime<Utc>,
    audit: &Audit,
) -> Option<Row> {
    let Some(mut row) = row else {
        return match &audit.kind {
            Kind::SessionStart(start) => Some(begin(id, seq, ts, &start.door, audit)),
            _ => None,
        };
    };
    if seq.0 <= row.last_seq || !concerns(&audit.kind) {
        return Some(row);
    }
    row.last_seq = seq.0;
    if let Some(word) = runs(&audit.kind) {
        match audit.outcome {
            Outcome::Denied => row.seen.refused += 1,
            _ if row.seen.ran.len() < WORDS_MAX => {
                row.seen.ran.insert(word);
            }
            _ => {}
        }
    }
    match &audit.kind {
        Kind::SessionRenew { .. } => row
            .who
            .certificates
            .extend(certificate(audit.who.as_deref())),
        Kind::ChannelOpen { .. } | Kind::ForwardOpen(_) => row.channels += 1,
        Kind::ForwardClose(close) => {
            row.input_bytes = row.input_bytes.saturating_add(close.input.bytes);
            row.output_bytes = row.output_bytes.saturating_add(close.output.bytes);
        }
        Kind::Gap { .. } => row.seen.gaps += 1,
        Kind::ChannelClose(detail) => {
            row.input_bytes = row.input_bytes.saturating_add(detail.input_bytes);
            row.output_bytes = row.output_bytes.saturating_add(detail.output_bytes);
        }
        Kind::SessionEnd { reason, totals, .. } => {
            row.end = Some((ts, *reason));
            row.outcome = audit.outcome;
            // What was counted over the whole session, where a crash has not lost it.
            row.channels = row.channels.max(u64::from(totals.channels));
            row.input_bytes = row.input_bytes.max(totals.input_bytes);
            row.output_bytes = row.output_bytes.max(totals.output_bytes);
        }
        _ => {}
    }
    Some(row)
}

/// The row of a session whose start cannot be read, from another event of its own stream: damage
/// must not make it vanish from the list.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "kinds that node streams have, too, say nothing"
)]
pub fn found(id: SessionId, ts: DateTime<Utc>, audit: &Audit) -> Option<Row> {
    match &audit.kind {
        Kind::TargetAuth { .. }
        | Kind::ChannelOpen { .. }
        | Kind::ChannelClose(_)
        | Kind::ForwardOpen(_)
        | Kind::ForwardClose(_)
        | Kind::ForwardListen(_)
        | Kind::Shell { .. }
        | Kind::Exec { .. }
        | Kind::Subsystem { .. }
        | Kind::SessionEnd { .. } => Some(begin(id, Seq(0), ts, "unknown", audit)),
        _ => None,
    }
}

fn begin(id: SessionId, seq: Seq, ts: DateTime<Utc>, door: &str, audit: &Audit) -> Row {
    let place = audit.place.as_deref();
    Row {
        id,
        who: audit.who.as_deref().map(person).unwrap_or_default(),
        target: place.and_then(|place| Some(place.target.as_ref()?.to_string())),
        login: place.and_then(|place| Some(place.login.as_ref()?.to_string())),
        node: place.map(|place| place.node.clone()),
        door: door.to_owned(),
        start: ts,
        end: None,
        outcome: audit.outcome,
        why: audit.why.as_deref().map(reason).unwrap_or_default(),
        channels: 0,
        input_bytes: 0,
        output_bytes: 0,
        seen: Seen::default(),
        last_seq: seq.0,
    }
}

fn person(who: &Who) -> Person {
    Person {
        identity: who.subject.clone(),
        source_ip: who.source.map(|source| source.ip.to_string()),
        certificates: certificate(Some(who)).into_iter().collect(),
    }
}

fn certificate(who: Option<&Who>) -> Option<Certificate> {
    Some(who?.certificate.as_ref()?.into())
}

fn reason(why: &Why) -> Reason {
    Reason {
        justification: why.justification.clone(),
        ticket: why.ticket.as_ref().map(ToString::to_string),
        source: why.source,
    }
}
