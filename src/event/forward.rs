//! Forwards: a connection that goes through a session to somewhere else.

use super::Decision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which side asked for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardDirection {
    /// The user's, to a place that the target reaches (`-L`, `-D`, `-W`).
    Local,
    /// The target's, to the user (`-R`).
    Remote,
}

/// A host and port, or a unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// One forwarded connection, before anything of it goes anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forward {
    pub direction: ForwardDirection,
    /// Who connected, as the side that accepted it says; absent for a unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Endpoint>,
    /// Seen from the target. Of a remote one: the listener it came in at.
    pub to: Endpoint,
    pub decision: Decision,
    /// It was allowed as SSH that nobody can read.
    pub opaque: bool,
}

/// What passed through it. Its content is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardClose {
    pub direction: ForwardDirection,
    pub to: Endpoint,
    pub input: ForwardSum,
    pub output: ForwardSum,
    /// What its first bytes looked like: a label, never a permission. Absent where no byte passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guess: Option<ForwardGuess>,
    /// SSH passed, or was allowed to, that nobody can read.
    pub opaque: bool,
    pub ended: ForwardEnd,
    /// One sentence more, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What it spoke, as far as its first bytes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardGuess {
    /// `ssh`, `tls`, `http`, `postgres`, `mysql`, `rdp` or `unknown`.
    pub protocol: String,
    /// Whom a TLS client asked for (RFC 6066 §3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// One direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardSum {
    pub bytes: u64,
    /// SHA-256 of them, hexadecimal.
    pub sha256: String,
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardEnd {
    User,
    Target,
    /// It never came to be: the other end could not or would not.
    Refused,
    /// The right to it ended.
    Policy,
    /// The session ended.
    Session,
    /// What passed could not be recorded any more.
    Recorder,
}

/// The target listens for the user (`-R`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardListen {
    /// As it was asked for, `*` for all addresses; port 0 lets the target choose.
    pub at: Endpoint,
    /// What the target chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub decision: Decision,
}

/// It does not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardCancel {
    pub at: Endpoint,
    /// `refused`: it never did.
    pub ended: ForwardEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A forward that policy, the certificate or a rule refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardDeny {
    pub direction: ForwardDirection,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Endpoint>,
    pub to: Endpoint,
    pub decision: Decision,
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Audit, Kind, Outcome};

    #[track_caller]
    fn golden(kind: Kind, json: &str) {
        let audit = Audit::of_node(kind, Outcome::Success);
        assert_eq!(serde_json::to_string(&audit).unwrap(), json);
        assert_eq!(serde_json::from_str::<Audit>(json).unwrap(), audit);
    }

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint {
            host: Some(host.to_owned()),
            port: Some(port),
            socket: None,
        }
    }

    #[test]
    fn lines_are_golden() {
        golden(
            Kind::ForwardOpen(Box::new(Forward {
                direction: ForwardDirection::Local,
                from: Some(at("127.0.0.1", 40000)),
                to: at("localhost", 5432),
                decision: Decision::default(),
                opaque: false,
            })),
            r#"{"kind":"forward.open","direction":"local","from":{"host":"127.0.0.1","port":40000},"to":{"host":"localhost","port":5432},"decision":{"action":"","allowed":false},"opaque":false,"outcome":"success"}"#,
        );
        let sum = |bytes| ForwardSum {
            bytes,
            sha256: "00".to_owned(),
        };
        golden(
            Kind::ForwardClose(Box::new(ForwardClose {
                direction: ForwardDirection::Remote,
                to: Endpoint {
                    socket: Some("/run/x".to_owned()),
                    ..Endpoint::default()
                },
                input: sum(1),
                output: sum(2),
                guess: Some(ForwardGuess {
                    protocol: "tls".to_owned(),
                    server_name: Some("db.test".to_owned()),
                }),
                opaque: false,
                ended: ForwardEnd::User,
                message: None,
            })),
            r#"{"kind":"forward.close","direction":"remote","to":{"socket":"/run/x"},"input":{"bytes":1,"sha256":"00"},"output":{"bytes":2,"sha256":"00"},"guess":{"protocol":"tls","server_name":"db.test"},"opaque":false,"ended":"user","outcome":"success"}"#,
        );
        golden(
            Kind::ForwardListen(Box::new(ForwardListen {
                at: at("localhost", 0),
                port: Some(41000),
                decision: Decision::default(),
            })),
            r#"{"kind":"forward.listen","at":{"host":"localhost","port":0},"port":41000,"decision":{"action":"","allowed":false},"outcome":"success"}"#,
        );
    }
}
