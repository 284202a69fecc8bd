//! SFTP under a right to read only or to write only. Here, and nowhere else, this room stands in the
//! path: what the right does not hold is answered by the bastion and does not reach the target.
//!
//! What is not known is refused, and what cannot be read stops the channel: an allowed request is
//! one that we have understood.

use super::Finding;
use super::answer::{self, PERMISSION_DENIED};
use super::effect::error;
use super::frames::{Bad, Frames, Part, Side};
use super::request::{self, Ask, Named};
use crate::event::{
    Direction, FileClosed, FileUse, Kind, Outcome, SftpFile, SftpOperation, TextOrBytes,
};

const INIT: u8 = 1;
/// Whatever version the client would like: the one that is read here (§4).
const INIT_3: [u8; 9] = [0, 0, 0, 5, INIT, 0, 0, 0, 3];
const STATUS: u8 = 101;
const READ: u32 = 0x1;
const WRITE: u32 = 0x2;
/// Append, create, truncate, exclusive.
const WITH_WRITE: u32 = 0x3c;
/// Changes that write-only rights hold; an unknown one is none of them.
const CHANGES: [&str; 9] = [
    "setstat",
    "remove",
    "mkdir",
    "rmdir",
    "rename",
    "symlink",
    "posix-rename",
    "hardlink",
    "lsetstat",
];

/// What a narrowed right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    Reading,
    Writing,
}

/// What becomes of some of the user's bytes.
#[derive(Debug, Default)]
pub struct Ruled {
    /// Whole requests, and the data of writes, for the target.
    pub forward: Vec<u8>,
    /// Whole answers for the user.
    pub answers: Vec<u8>,
    pub found: Vec<Finding>,
    /// Nothing more may go on: the channel must end.
    pub stop: bool,
}

pub struct Guard {
    only: Only,
    input: Frames,
    output: Frames,
    /// The data of a refused write does not go on either.
    dropping: bool,
    stopped: bool,
}

impl Guard {
    pub fn new(only: Only) -> Self {
        Self {
            only,
            input: Frames::new(Side::Requests),
            output: Frames::new(Side::Answers),
            dropping: false,
            stopped: false,
        }
    }

    /// The next bytes of the user.
    pub fn rule(&mut self, bytes: &[u8]) -> Ruled {
        let mut ruled = Ruled::default();
        if !self.stopped
            && let Err(bad) = self.sort(bytes, &mut ruled)
        {
            self.stopped = true;
            let error = error(Direction::Input, self.input.began(), &bad);
            ruled.found.push(error);
        }
        ruled.stop = self.stopped;
        ruled
    }

    fn sort(&mut self, mut bytes: &[u8], ruled: &mut Ruled) -> Result<(), Bad> {
        while let Some(part) = self.input.next(&mut bytes)? {
            match part {
                Part::Head { head, .. } if head.first() == Some(&INIT) => {
                    self.dropping = false;
                    ruled.forward.extend_from_slice(&INIT_3);
                }
                Part::Head { head, rest, .. } => {
                    let (id, ask) = request::parse(head)?;
                    self.dropping = !holds(self.only, &ask);
                    if self.dropping {
                        ruled.answers.extend(no(id, self.only));
                        ruled.found.push(denied(ask));
                        continue;
                    }
                    let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
                    let length = length.saturating_add(rest);
                    ruled.forward.extend_from_slice(&length.to_be_bytes());
                    ruled.forward.extend_from_slice(head);
                }
                Part::Rest(data) if !self.dropping => ruled.forward.extend_from_slice(data),
                Part::Rest(_) => {}
            }
        }
        Ok(())
    }

    /// The next bytes of the target: where in them an answer of ours may stand last, if anywhere.
    ///
    /// # Errors
    /// They are no answers: nothing of ours can be put between them, the channel must end.
    pub fn boundary(&mut self, bytes: &[u8]) -> Result<Option<usize>, Box<Finding>> {
        let mut rest = bytes;
        let mut last = (!self.output.is_inside()).then_some(0);
        loop {
            match self.output.next(&mut rest).map(|part| part.is_some()) {
                Ok(true) => {}
                Ok(false) => return Ok(last),
                Err(bad) => {
                    self.stopped = true;
                    return Err(Box::new(error(
                        Direction::Output,
                        self.output.began(),
                        &bad,
                    )));
                }
            }
            if !self.output.is_inside() {
                last = Some(bytes.len() - rest.len());
            }
        }
    }

    /// Whether an answer of ours may follow what the target has sent.
    pub fn is_between(&self) -> bool {
        !self.output.is_inside()
    }
}

fn holds(only: Only, ask: &Ask) -> bool {
    match (only, ask) {
        (_, Ask::Close(_) | Ask::Stat(_) | Ask::Quiet) => true,
        (_, Ask::CopyData { .. }) => false,
        // Without READ and WRITE sshd opens for reading.
        (Only::Reading, Ask::Open { flags, .. }) => flags & !READ == 0,
        (Only::Reading, Ask::Read { .. } | Ask::OpenDir(_) | Ask::ReadDir(_)) => true,
        (Only::Reading, Ask::Write { .. } | Ask::Named(_) | Ask::SetStat { .. }) => false,
        (Only::Writing, Ask::Open { flags, .. }) => {
            flags & WRITE != 0 && flags & !(WRITE | WITH_WRITE) == 0
        }
        (Only::Writing, Ask::Write { .. } | Ask::SetStat { .. }) => true,
        (Only::Writing, Ask::Named(named)) => CHANGES.contains(&named.operation.as_str()),
        (Only::Writing, Ask::Read { .. } | Ask::OpenDir(_) | Ask::ReadDir(_)) => false,
    }
}

fn no(id: u32, only: Only) -> Vec<u8> {
    let text = match only {
        Only::Reading => "portcullis: your right is for reading only",
        Only::Writing => "portcullis: your right is for writing only",
    };
    let mut body = vec![STATUS];
    body.extend_from_slice(&id.to_be_bytes());
    body.extend_from_slice(&PERMISSION_DENIED.to_be_bytes());
    for text in [text, ""] {
        body.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let length = u32::try_from(body.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], &body].concat()
}

fn denied(ask: Ask) -> Finding {
    let text = |bytes: Vec<u8>| TextOrBytes::from_bytes(&bytes);
    let result = answer::status(PERMISSION_DENIED);
    let named = |operation: &str, path: Option<Vec<u8>>| Named {
        operation: operation.to_owned(),
        path,
        ..Named::default()
    };
    let named = match ask {
        Ask::Open {
            path,
            flags,
            attributes,
        } => {
            let file = SftpFile {
                operation: FileUse::Open,
                path: text(path),
                flags: super::opened::words(flags),
                mode: attributes.mode,
                read: None,
                written: None,
                size: None,
                result,
                closed: FileClosed::NotOpened,
            };
            return Finding {
                kind: Kind::SftpFile(Box::new(file)),
                outcome: Outcome::Denied,
            };
        }
        Ask::Named(named) => named,
        Ask::OpenDir(path) => named("opendir", Some(path)),
        Ask::Read { .. } => named("read", None),
        Ask::Write { .. } => named("write", None),
        Ask::ReadDir(_) => named("readdir", None),
        Ask::SetStat { attributes, .. } => Named {
            attributes: Some(attributes),
            ..named("fsetstat", None)
        },
        Ask::CopyData { .. } => named("copy-data", None),
        Ask::Close(_) | Ask::Stat(_) | Ask::Quiet => named("none", None),
    };
    let operation = SftpOperation {
        operation: named.operation,
        path: named.path.map(text),
        to: named.to.map(text),
        attributes: named.attributes,
        result,
    };
    Finding {
        kind: Kind::SftpOperation(Box::new(operation)),
        outcome: Outcome::Denied,
    }
}
