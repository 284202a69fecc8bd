//! The envelope of every line, and the lines at byte rate, as a reader meets them. The recorder
//! renders them by hand (record/render.rs) because they are hot; real sessions are validated
//! against the schemas that are made from here (docs/schema).

use super::{Direction, TextOrBytes};
use crate::id::{ChannelId, Seq, SessionId};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

/// What stands on every line, whatever its kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Envelope {
    /// Schema major. A reader passes over fields that it does not know and refuses a higher major.
    pub v: u64,
    /// The stream: the id of a session, or of a node's own stream.
    pub sid: SessionId,
    /// Number in the stream: from 0, without holes.
    pub seq: Seq,
    /// UTC, nanoseconds: the wall clock at the start of the stream + `mt`, so it never steps.
    pub ts: DateTime<Utc>,
    /// Nanoseconds since the start of the stream, on a clock that cannot be set.
    pub mt: u64,
    pub kind: String,
    /// The SSH channel, numbered from 0 in each session; absent at connection level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

/// A line bound to its session by the stream it stands in; it carries no who, where, why.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum Frame {
    /// User to target. What is typed on a terminal is withheld: its length stands here, not its text.
    #[serde(rename = "input")]
    Input {
        #[serde(flatten)]
        bytes: TextOrBytes,
        /// True: `n` bytes were sent here and are not kept.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
    },
    /// Target to user, exactly as the target sent it.
    #[serde(rename = "output")]
    Output {
        /// 1 is standard output, 2 standard error (RFC 4254 §5.2).
        fd: u8,
        #[serde(flatten)]
        bytes: TextOrBytes,
    },
    /// Bytes that the bastion itself put on the person's terminal.
    #[serde(rename = "notice")]
    Notice {
        #[serde(flatten)]
        bytes: TextOrBytes,
    },
    /// The window changed (RFC 4254 §6.7), in characters.
    #[serde(rename = "resize")]
    Resize { cols: u32, rows: u32 },
    /// What the disk has for certain, every 10 s in which something came.
    #[serde(rename = "commit")]
    Commit {
        /// The last line that lost power can no longer take away.
        through: u64,
    },
    /// Every 1 MiB of a stream whose content is no longer kept, before the byte that crosses it.
    #[serde(rename = "stream.progress")]
    Progress {
        direction: Direction,
        /// Of the whole stream until here.
        bytes: u64,
        /// SHA-256 of those bytes, hexadecimal.
        sha256: String,
    },
}
