//! What an event says to the search index. Pure: the live index and the one that is made again are
//! equal because both are told here, and nothing that looks like a secret gets in.

use crate::event::{Audit, Command, CommandSource, Kind};
use crate::id::Seq;
use crate::inspect::{agent, files, forwards, mask};
use crate::store::{Class, Line, Start, Told};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
pub struct Stands {
    pub seq: Seq,
    pub ts: DateTime<Utc>,
    /// Since the session started.
    pub mt: Duration,
    pub channel: Option<u32>,
}

/// `None` for what is not looked for.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "files are told apart by their own room, and the rest is not looked for"
)]
pub fn told(stands: Stands, audit: &Audit) -> Option<Told> {
    match &audit.kind {
        Kind::SessionStart(_) => {
            let place = audit.place.as_deref();
            let who = audit.who.as_deref();
            Some(Told::Start(Start {
                identity: who.and_then(|who| Some(who.subject.as_ref()?.to_string())),
                target: place.and_then(|place| Some(place.target.as_ref()?.to_string())),
                started: stands.ts - stands.mt,
            }))
        }
        Kind::Command(command) => Some(Told::Line(ran(stands, command))),
        Kind::ChannelClose(detail) => Some(Told::Exit {
            channel: stands.channel?,
            status: detail.exit_status?.into(),
        }),
        Kind::ForwardDeny(deny) => {
            let text = forwards::refused(deny);
            Some(Told::Line(line(stands, Class::Forwards, &text)))
        }
        kind => {
            let file = files::told(kind).map(|text| (Class::Files, text));
            // An agent goes through a session to somewhere else, as a forward does.
            let agent = || Some(format!("agent: {}", agent::told(kind)?));
            let forward = || forwards::told(kind).or_else(agent);
            let (class, text) = file.or_else(|| Some((Class::Forwards, forward()?)))?;
            Some(Told::Line(line(stands, class, &text)))
        }
    }
}

fn ran(stands: Stands, command: &Command) -> Line {
    Line {
        // The key that submitted it: the event comes when it was certain.
        at: Duration::from_nanos(command.span.to_mt),
        is_exec: command.sources.contains(&CommandSource::Exec),
        exit: command.marks.exit_status.map(i64::from),
        confidence: Some(command.confidence),
        ..line(stands, Class::Commands, &command.text)
    }
}

/// A line of its own, masked.
pub fn line(stands: Stands, class: Class, text: &str) -> Line {
    Line {
        class,
        seq: stands.seq.0,
        nth: 0,
        at: stands.mt,
        channel: stands.channel,
        is_exec: false,
        exit: None,
        confidence: None,
        text: mask(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{
        AgentRefuse, Decision, Endpoint, ForwardDeny, ForwardDirection, Outcome, TextOrBytes,
    };

    fn text(kind: Kind, outcome: Outcome) -> (Class, String) {
        let stands = Stands {
            seq: Seq(3),
            ts: DateTime::UNIX_EPOCH,
            mt: Duration::ZERO,
            channel: None,
        };
        match told(stands, &Audit::of_node(kind, outcome)) {
            Some(Told::Line(line)) => (line.class, line.text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_forward_is_found_by_its_place_and_says_its_direction() {
        let deny = Kind::ForwardDeny(Box::new(ForwardDeny {
            direction: ForwardDirection::Remote,
            from: None,
            to: Endpoint {
                host: Some("localhost".to_owned()),
                port: Some(8099),
                socket: None,
            },
            decision: Decision::default(),
            message: String::new(),
        }));
        assert_eq!(
            text(deny, Outcome::Denied),
            (
                Class::Forwards,
                "refused to listen at localhost:8099".to_owned()
            )
        );
    }

    #[test]
    fn what_an_agent_was_asked_for_is_found() {
        let refuse = Kind::AgentRefuse(Box::new(AgentRefuse {
            request: "extension".to_owned(),
            extension: Some(TextOrBytes::from_bytes(b"other@test")),
            bytes: 1,
        }));
        assert_eq!(
            text(refuse, Outcome::Denied),
            (
                Class::Forwards,
                "agent: refused extension other@test".to_owned()
            )
        );
    }
}
