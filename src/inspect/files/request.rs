//! What a client asks for: a packet becomes a word (draft-ietf-secsh-filexfer-02 §6, OpenSSH
//! PROTOCOL §4).

use super::fields::Fields;
use super::frames::{Bad, WRITE};
use crate::event::FileAttributes;

/// Longer names of extensions are cut in the event.
const NAME_CHARS: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Open {
        path: Vec<u8>,
        flags: u32,
        attributes: FileAttributes,
    },
    Close(Vec<u8>),
    Read {
        handle: Vec<u8>,
        offset: u64,
    },
    /// Its data comes after it.
    Write {
        handle: Vec<u8>,
        offset: u64,
        bytes: u32,
    },
    Stat(Vec<u8>),
    OpenDir(Vec<u8>),
    ReadDir(Vec<u8>),
    /// A change by name.
    Named(Named),
    SetStat {
        handle: Vec<u8>,
        attributes: FileAttributes,
    },
    CopyData {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    /// Changes nothing and carries no content: stat, realpath, limits, ...
    Quiet,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) operation: String,
    pub(super) path: Option<Vec<u8>>,
    pub(super) to: Option<Vec<u8>>,
    pub(super) attributes: Option<FileAttributes>,
}

impl Ask {
    /// What it costs to remember it until its answer comes.
    pub(super) fn cost(&self) -> usize {
        let length = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
        let text = match self {
            Self::Open { path, .. } | Self::OpenDir(path) => path.len(),
            Self::Close(handle)
            | Self::Read { handle, .. }
            | Self::Write { handle, .. }
            | Self::Stat(handle)
            | Self::ReadDir(handle)
            | Self::SetStat { handle, .. } => handle.len(),
            Self::CopyData { from, to } => from.len() + to.len(),
            Self::Named(named) => named.operation.len() + length(&named.path) + length(&named.to),
            Self::Quiet => 0,
        };
        256 + text
    }
}

/// Type and fields of a request that is not INIT: its id and what it asks for. Of WRITE the head.
pub(super) fn parse(head: &[u8]) -> Result<(u32, Ask), Bad> {
    let kind = head.first().copied().unwrap_or(0);
    let fields = Fields(head.get(1..).unwrap_or_default());
    read(kind, fields).ok_or_else(|| {
        Bad::malformed(format!(
            "a request of type {kind} is shorter than its fields"
        ))
    })
}

fn read(kind: u8, mut fields: Fields<'_>) -> Option<(u32, Ask)> {
    let id = fields.u32()?;
    let ask = match kind {
        3 => Ask::Open {
            path: fields.owned()?,
            flags: fields.u32()?,
            attributes: fields.attributes()?,
        },
        4 => Ask::Close(fields.owned()?),
        5 => Ask::Read {
            handle: fields.owned()?,
            offset: fields.u64()?,
        },
        WRITE => Ask::Write {
            handle: fields.owned()?,
            offset: fields.u64()?,
            bytes: fields.u32()?,
        },
        8 => Ask::Stat(fields.owned()?),
        9 => named("setstat", &mut fields, Args::PathAttributes)?,
        10 => Ask::SetStat {
            handle: fields.owned()?,
            attributes: fields.attributes()?,
        },
        11 => Ask::OpenDir(fields.owned()?),
        12 => Ask::ReadDir(fields.owned()?),
        13 => named("remove", &mut fields, Args::Path)?,
        14 => named("mkdir", &mut fields, Args::PathAttributes)?,
        15 => named("rmdir", &mut fields, Args::Path)?,
        18 => named("rename", &mut fields, Args::Both)?,
        // OpenSSH's order, not the draft's: what it points to comes first (PROTOCOL 4.1).
        20 => named("symlink", &mut fields, Args::Swapped)?,
        // lstat, realpath, stat, readlink
        7 | 16 | 17 | 19 => Ask::Quiet,
        200 => extended(&mut fields)?,
        _ => Ask::Named(Named {
            operation: format!("type {kind}"),
            ..Named::default()
        }),
    };
    Some((id, ask))
}

enum Args {
    Path,
    PathAttributes,
    Both,
    Swapped,
}

fn named(operation: &str, fields: &mut Fields<'_>, args: Args) -> Option<Ask> {
    let first = fields.owned()?;
    let mut named = Named {
        operation: operation.to_owned(),
        ..Named::default()
    };
    match args {
        Args::Path => named.path = Some(first),
        Args::PathAttributes => {
            named.path = Some(first);
            named.attributes = Some(fields.attributes()?);
        }
        Args::Both => {
            named.path = Some(first);
            named.to = Some(fields.owned()?);
        }
        Args::Swapped => {
            named.path = Some(fields.owned()?);
            named.to = Some(first);
        }
    }
    Some(Ask::Named(named))
}

fn extended(fields: &mut Fields<'_>) -> Option<Ask> {
    let ask = match fields.string()? {
        b"posix-rename@openssh.com" => named("posix-rename", fields, Args::Both)?,
        b"hardlink@openssh.com" => named("hardlink", fields, Args::Both)?,
        b"lsetstat@openssh.com" => named("lsetstat", fields, Args::PathAttributes)?,
        b"copy-data" => {
            let from = fields.owned()?;
            fields.u64()?;
            fields.u64()?;
            Ask::CopyData {
                from,
                to: fields.owned()?,
            }
        }
        b"statvfs@openssh.com"
        | b"fstatvfs@openssh.com"
        | b"fsync@openssh.com"
        | b"limits@openssh.com"
        | b"expand-path@openssh.com"
        | b"home-directory"
        | b"users-groups-by-id@openssh.com" => Ask::Quiet,
        name => {
            let name = String::from_utf8_lossy(name);
            let name: String = name.chars().take(NAME_CHARS).collect();
            Ask::Named(Named {
                operation: name,
                ..Named::default()
            })
        }
    };
    Some(ask)
}
