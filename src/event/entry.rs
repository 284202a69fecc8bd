use super::{Audit, Secret};
use crate::id::ChannelId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing to record. Number and time are given by the recorder, never by the caller.
#[derive(Clone, Debug)]
pub struct Entry {
    pub channel: Option<ChannelId>,
    pub body: Body,
}

/// An audit event (human rate, self-contained) or a frame (byte rate, bound by its stream).
#[derive(Clone, Debug)]
pub enum Body {
    Audit(Box<Audit>),
    /// User -> target, exact bytes.
    Input(Secret),
    /// User -> target on a terminal, withheld (docs/recording-format.md 5.5). Only the length is kept.
    InputWithheld {
        bytes: u32,
    },
    /// Target -> user. `fd` 1 is standard output, 2 standard error (RFC 4254 §5.2 data type 1).
    Output {
        fd: u8,
        data: Secret,
    },
    /// Bytes that the bastion itself put on the person's terminal.
    Notice(Secret),
    /// RFC 4254 §6.7, in characters.
    Resize {
        cols: u32,
        rows: u32,
    },
    /// Bytes whose content is not kept: total so far and SHA-256 of all of them, every 1 MiB.
    Progress {
        direction: Direction,
        bytes: u64,
        sha256: [u8; 32],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// User -> target.
    Input,
    /// Target -> user, standard output.
    Output,
    /// Target -> user, standard error.
    Stderr,
}

impl Entry {
    pub fn on(channel: ChannelId, body: Body) -> Self {
        Self {
            channel: Some(channel),
            body,
        }
    }

    /// An event of the whole connection.
    pub fn audit(audit: Audit) -> Self {
        Self {
            channel: None,
            body: Body::Audit(Box::new(audit)),
        }
    }
}
