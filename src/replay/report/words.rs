//! Who, where and why not, in a report's words.

use super::section::cell;
use crate::event::{Audit, Kind, Who};
use crate::id::SessionId;

/// Who was proven, else what the certificate or the client claims, marked as such.
pub(super) fn name(who: Option<&Who>) -> String {
    let Some(who) = who else {
        return "?".to_owned();
    };
    match (&who.subject, &who.certificate, &who.name) {
        (Some(subject), _, _) => cell(&subject.to_string()),
        (None, Some(certificate), _) => format!("claims {}", cell(&certificate.key_id)),
        (None, None, Some(name)) if name.is_empty() => "?".to_owned(),
        (None, None, Some(name)) if name.starts_with("os:") => cell(name),
        (None, None, Some(name)) => format!("claims {}", cell(name)),
        (None, None, None) => "?".to_owned(),
    }
}

pub(super) fn place(audit: &Audit) -> String {
    let Some(place) = audit.place.as_deref() else {
        return String::new();
    };
    match (&place.login, &place.target) {
        (Some(login), Some(target)) => cell(&format!("{login}@{target}")),
        (None, Some(target)) => cell(&target.to_string()),
        (_, None) => String::new(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are not denied, or say no more"
)]
pub(super) fn why_not(kind: &Kind) -> String {
    match kind {
        Kind::AuthFail(note) => format!("{}: {}", note.code, note.message),
        Kind::AccessDeny { message, .. } => message.clone(),
        Kind::Verb { verb, .. } | Kind::View { verb, .. } => verb.clone(),
        Kind::Export(fact) => format!("{} {}", fact.format, fact.filter),
        _ => String::new(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are about no session of somebody else"
)]
pub(super) fn session_of(kind: &Kind) -> Option<SessionId> {
    match kind {
        Kind::View { session, .. } => *session,
        Kind::Replay { session } | Kind::Review { session, .. } => Some(*session),
        _ => None,
    }
}
