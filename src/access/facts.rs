//! What policy is told: who, where from, when, why.

use super::{Door, Target};
use crate::event::Why;
use crate::id::Subject;
use crate::identity::Identity;
use crate::policy::{Context, Principal};
use chrono::{DateTime, Utc};
use std::net::IpAddr;

/// Operators of the node.
const NODE_GROUP: &str = "node";

pub(super) fn principal(who: &Identity) -> Principal {
    // Who sits at the node is known by the control socket, and by no certificate.
    let groups = who.groups().iter().filter(|group| *group != NODE_GROUP);
    Principal {
        name: who.subject().to_string(),
        groups: groups.cloned().collect(),
        principals: who.principals().to_vec(),
    }
}

/// Whoever may open the node's control socket.
pub(super) fn operator(user: &str) -> Principal {
    Principal {
        name: format!("os:{user}"),
        groups: vec![NODE_GROUP.to_owned()],
        principals: Vec::new(),
    }
}

/// What the target lists; `$identity` stands for the subject.
pub(super) fn logins(target: &Target, subject: &Subject) -> Vec<String> {
    let resolve = |login: &String| match login.as_str() {
        "$identity" => subject.to_string(),
        login => login.to_owned(),
    };
    target.logins.iter().map(resolve).collect()
}

pub(super) fn context(
    who: &Identity,
    source: IpAddr,
    door: Door,
    why: &Why,
    now: DateTime<Utc>,
) -> Context {
    let age = now - DateTime::<Utc>::from(who.valid_after());
    let source_of_why = why
        .source
        .map(|source| format!("{source:?}").to_lowercase());
    Context {
        source_ip: Some(source.to_canonical()),
        ticket: why.ticket.is_some(),
        why_source: source_of_why,
        certificate_age_s: age.num_seconds().max(0),
        certificate_inside: door.shows_certificate(),
        ..Context::at(now, door.as_str())
    }
}

pub(super) fn context_of_node(now: DateTime<Utc>) -> Context {
    Context::at(now, "node")
}
