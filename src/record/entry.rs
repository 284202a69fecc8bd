//! An event becomes a journal record.

use super::segment::Tag;
use crate::event::{Audit, Body, Direction};

/// A JSON object that begins with its kind; the renderer puts the envelope before the rest.
pub(crate) fn audit_json(audit: &Audit) -> Vec<u8> {
    // Our own types have string keys and no failing serializer; and were it to fail, the record
    // says so instead of being left out.
    serde_json::to_vec(audit).unwrap_or_else(|_| {
        br#"{"kind":"error","outcome":"error","code":"unserialisable"}"#.to_vec()
    })
}

pub(crate) fn encode(body: &Body) -> (Tag, Vec<u8>) {
    match body {
        Body::Audit(audit) => (Tag::Audit, audit_json(audit)),
        Body::Input(data) => (Tag::Input, data.0.to_vec()),
        Body::InputWithheld { bytes } => (Tag::Withheld, bytes.to_le_bytes().to_vec()),
        Body::Output { fd: 2, data } => (Tag::Stderr, data.0.to_vec()),
        Body::Output { data, .. } => (Tag::Output, data.0.to_vec()),
        Body::Notice(data) => (Tag::Notice, data.0.to_vec()),
        Body::Resize { cols, rows } => (
            Tag::Resize,
            [cols.to_le_bytes(), rows.to_le_bytes()].concat(),
        ),
        Body::Progress {
            direction,
            bytes,
            sha256,
        } => {
            let direction = match direction {
                Direction::Input => 0,
                Direction::Output => 1,
                Direction::Stderr => 2,
            };
            let mut payload = vec![direction];
            payload.extend_from_slice(&bytes.to_le_bytes());
            payload.extend_from_slice(sha256);
            (Tag::Progress, payload)
        }
    }
}
