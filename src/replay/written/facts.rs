//! What stands above a session: who, from where, where, when, why.

use crate::event::Kind;
use crate::replay::line::{Line, What};

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a recording that lost its start begins with anything"
)]
/// From the session's first event; nothing where that is none of ours.
pub(in crate::replay) fn facts(line: &Line) -> Vec<(&'static str, String)> {
    let What::Audit(audit) = &line.what else {
        return Vec::new();
    };
    let (who, place, why) = (
        audit.who.as_deref(),
        audit.place.as_deref(),
        audit.why.as_deref(),
    );
    let target = place.and_then(|place| {
        let login = place.login.as_ref()?;
        Some(format!("{login}@{}", place.target.as_ref()?))
    });
    let mut facts = vec![
        (
            "who",
            who.and_then(|who| Some(who.subject.as_ref()?.to_string())),
        ),
        ("from", who.and_then(|who| Some(who.source?.ip.to_string()))),
        ("where", target),
        ("when", Some(line.ts.to_rfc3339())),
        ("why", why.and_then(|why| why.justification.clone())),
        (
            "ticket",
            why.and_then(|why| Some(why.ticket.as_ref()?.to_string())),
        ),
    ];
    facts.push(match &audit.kind {
        Kind::SessionStart(start) => ("allowed by", Some(start.decision.policies.join(", "))),
        _ => ("first event", Some(line.kind.clone())),
    });
    facts
        .into_iter()
        .map(|(name, text)| (name, text.unwrap_or_else(|| "-".to_owned())))
        .collect()
}
