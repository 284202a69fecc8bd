//! Files that pass through a channel, told in their own terms: SFTP, scp, rsync, git.
//!
//! Bytes of both directions go in as they pass, events come out. What a channel speaks is told from
//! its bytes; the text of a command decides nothing.
//!
//! Never: hold a file in memory, print a hash for more than it covers, or end a session. Only [`Guard`]
//! stands in the path, where a right is narrowed to reading or writing.

mod answer;
mod channel;
mod effect;
mod fields;
mod frames;
mod guard;
mod opened;
mod request;
mod scp;
mod scp_record;
mod sftp;
mod sum;
mod table;
mod talk;
mod told;
mod tool;

#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod scp_tests;
#[cfg(test)]
mod tests;

pub use channel::Files;
pub use guard::{Guard, Only, Ruled};
pub use scp::Scp;
pub use sftp::Sftp;
pub use told::told;

use crate::event::{Kind, Outcome};

/// An event about files, to be recorded on its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    pub outcome: Outcome,
}
