//! Forwards of a session, a line each.

use crate::event::{
    Endpoint, Forward, ForwardClose, ForwardDeny, ForwardDirection, ForwardEnd, ForwardSum, Kind,
};

/// The line for this event, if it is one of a forward.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are told elsewhere"
)]
pub fn told(kind: &Kind) -> Option<String> {
    match kind {
        Kind::ForwardOpen(open) => Some(opened(open)),
        Kind::ForwardClose(close) => Some(closed(close)),
        Kind::ForwardListen(listen) => {
            // Port 0 lets the target choose: the place is where it can be met.
            let at = Endpoint {
                port: listen.port.or(listen.at.port),
                ..listen.at.clone()
            };
            Some(format!("listens at {}", place(&at)))
        }
        Kind::ForwardCancel(cancel) => Some(match (cancel.ended, &cancel.message) {
            (ForwardEnd::Refused, Some(message)) => format!("does not listen: {message}"),
            (ended, message) => {
                let at = place(&cancel.at);
                format!("listens no more at {at}{}", end(ended, message.as_deref()))
            }
        }),
        _ => None,
    }
}

/// What was asked for and refused.
pub fn refused(deny: &ForwardDeny) -> String {
    let way = match deny.direction {
        ForwardDirection::Local => "to",
        ForwardDirection::Remote => "to listen at",
    };
    format!("refused {way} {}", place(&deny.to))
}

/// An end that neither side made.
pub fn is_forced(kind: &Kind) -> bool {
    let is = |ended| matches!(ended, ForwardEnd::Policy | ForwardEnd::Recorder);
    matches!(kind, Kind::ForwardClose(close) if is(close.ended))
        || matches!(kind, Kind::ForwardCancel(cancel) if is(cancel.ended))
}

fn opened(open: &Forward) -> String {
    let from = open.from.as_ref().map_or_else(String::new, |from| {
        format!(", from {} as it says", place(from))
    });
    let opaque = if open.opaque { ", opaque" } else { "" };
    format!("{} {}{from}{opaque}", word(open.direction), place(&open.to))
}

fn closed(close: &ForwardClose) -> String {
    let way = format!("{} {}", word(close.direction), place(&close.to));
    if close.ended == ForwardEnd::Refused {
        let message = close.message.as_deref().unwrap_or("refused");
        return format!("{way}: {message}");
    }
    let guess = close.guess.as_ref().map_or_else(String::new, |guess| {
        let name = guess.server_name.as_ref();
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        format!(", speaks {}{name}", guess.protocol)
    });
    let opaque = if close.opaque { ", opaque" } else { "" };
    let bytes = |sum: &ForwardSum| sum.bytes;
    format!(
        "{way} closed: {} bytes in, {} out{guess}{opaque}{}",
        bytes(&close.input),
        bytes(&close.output),
        end(close.ended, close.message.as_deref())
    )
}

/// Who ended it, where that was no side of it.
fn end(ended: ForwardEnd, message: Option<&str>) -> String {
    let by = match ended {
        ForwardEnd::User | ForwardEnd::Target | ForwardEnd::Refused => return String::new(),
        ForwardEnd::Policy => "by policy",
        ForwardEnd::Session => "with the session",
        ForwardEnd::Recorder => "because it could not be recorded any more",
    };
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    format!(", ended {by}{message}")
}

fn word(direction: ForwardDirection) -> &'static str {
    match direction {
        ForwardDirection::Local => "to",
        ForwardDirection::Remote => "came in at",
    }
}

/// As people write it, and look for it.
fn place(at: &Endpoint) -> String {
    match (&at.socket, &at.host, at.port) {
        (Some(path), _, _) => path.clone(),
        (None, Some(host), Some(port)) if host.contains(':') => format!("[{host}]:{port}"),
        (None, Some(host), Some(port)) => format!("{host}:{port}"),
        (None, Some(host), None) => host.clone(),
        (None, None, _) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Decision, ForwardCancel, ForwardListen};

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint {
            host: Some(host.to_owned()),
            port: Some(port),
            socket: None,
        }
    }

    fn sum() -> ForwardSum {
        ForwardSum {
            bytes: 2,
            sha256: String::new(),
        }
    }

    fn close(ended: ForwardEnd, message: Option<&str>) -> Kind {
        Kind::ForwardClose(Box::new(ForwardClose {
            direction: ForwardDirection::Local,
            to: at("localhost", 8099),
            input: sum(),
            output: sum(),
            guess: None,
            opaque: false,
            ended,
            message: message.map(str::to_owned),
        }))
    }

    #[test]
    fn an_end_that_policy_made_is_said_and_one_of_a_side_is_not() {
        let ended = close(ForwardEnd::Policy, Some("not allowed any more"));
        assert!(is_forced(&ended));
        assert_eq!(
            told(&ended).unwrap(),
            "to localhost:8099 closed: 2 bytes in, 2 out, ended by policy: not allowed any more"
        );
        let ended = close(ForwardEnd::User, None);
        assert!(!is_forced(&ended));
        assert_eq!(
            told(&ended).unwrap(),
            "to localhost:8099 closed: 2 bytes in, 2 out"
        );
        let cancelled = Kind::ForwardCancel(Box::new(ForwardCancel {
            at: at("localhost", 0),
            ended: ForwardEnd::Policy,
            message: None,
        }));
        assert!(is_forced(&cancelled));
        assert!(told(&cancelled).unwrap().ends_with(", ended by policy"));
    }

    #[test]
    fn places_are_as_people_write_them() {
        assert_eq!(place(&at("localhost", 8099)), "localhost:8099");
        assert_eq!(place(&at("::1", 22)), "[::1]:22");
        let listens = Kind::ForwardListen(Box::new(ForwardListen {
            at: at("localhost", 0),
            port: Some(41000),
            decision: Decision::default(),
        }));
        assert_eq!(told(&listens).unwrap(), "listens at localhost:41000");
        let deny = |direction| ForwardDeny {
            direction,
            from: None,
            to: at("localhost", 8099),
            decision: Decision::default(),
            message: String::new(),
        };
        assert_eq!(
            refused(&deny(ForwardDirection::Remote)),
            "refused to listen at localhost:8099"
        );
        assert_eq!(
            refused(&deny(ForwardDirection::Local)),
            "refused to localhost:8099"
        );
    }
}
