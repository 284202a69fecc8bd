//! Files in their own terms: what SFTP, scp, rsync and git did, not which bytes they sent.

use super::{Direction, TextOrBytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One opened file of SFTP (draft-ietf-secsh-filexfer-02 §6.3), told when it was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SftpFile {
    pub operation: FileUse,
    /// As the client wrote it: relative to the login's directory, links not followed.
    pub path: TextOrBytes,
    pub flags: Vec<OpenFlag>,
    /// Permissions for a new file, octal, where the client gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<FileContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<FileContent>,
    /// Size of the file at its close, where the protocol told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `ok`, or the first status that was not (`permission_denied`, ...).
    pub result: String,
    pub closed: FileClosed,
}

/// What an open file was used for, by the bytes that passed and not by its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileUse {
    /// Opened, and nothing was read or written.
    Open,
    Read,
    Write,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenFlag {
    Read,
    Write,
    Append,
    Create,
    Truncate,
    Exclusive,
    /// A bit that the draft does not name.
    Unknown,
}

/// How a file came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileClosed {
    /// As it should be.
    Client,
    /// The channel ended before it: what passed until then.
    Channel,
    /// It was never opened: `result` says why.
    NotOpened,
    /// The conversation could not be followed any further (`sftp.error`).
    Lost,
    /// Too many files were open: what passed through this one is in the `stream` sums only.
    NotFollowed,
}

/// What passed through an open file in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileContent {
    /// All bytes that passed, repetitions included.
    pub bytes: u64,
    pub scope: Scope,
    /// Of the bytes from `from` up to, without, `to`, as they passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub from: u64,
    pub to: u64,
}

/// What a hash covers. It is never said to cover more than it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole file: `sha256sum` gives the same.
    Whole,
    /// `from` to `to`, and nothing else passed; the file may be longer.
    Range,
    /// `from` to `to`, but more passed (elsewhere, or twice), or not all of it was confirmed.
    Partial,
    /// No byte: there is no hash.
    None,
}

/// A change by name or to attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SftpOperation {
    /// `rename`, `posix-rename`, `remove`, `mkdir`, `rmdir`, `setstat`, `fsetstat`, `lsetstat`,
    /// `symlink`, `hardlink`, `copy-data`, or the name of an extension that we do not know.
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<TextOrBytes>,
    /// The new name; of a link, what it points to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<TextOrBytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<FileAttributes>,
    /// `ok`, a status, or `unanswered`.
    pub result: String,
}

/// The attributes that were asked for (§5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<u32>,
}

/// A directory that was listed, told when it was closed. The names are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SftpList {
    pub path: TextOrBytes,
    pub entries: u64,
    pub result: String,
    pub closed: FileClosed,
}

/// A file that scp copied in its old protocol (`scp -O`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScpFile {
    /// `write`: to the target. `read`: from it.
    pub operation: FileUse,
    /// Names as the sender gave them, below the place that the command names.
    pub path: TextOrBytes,
    pub mode: String,
    /// As announced.
    pub size: u64,
    /// With `-p`: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atime: Option<u64>,
    pub content: FileContent,
    /// `ok`, `refused`, `failed`, `unanswered` or `lost`.
    pub result: String,
    /// What the side that refused or failed said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<TextOrBytes>,
}

/// A directory that scp entered with `-r`, making it where it was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScpDirectory {
    pub operation: FileUse,
    pub path: TextOrBytes,
    pub mode: String,
    pub result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<TextOrBytes>,
}

/// The conversation could not be followed, or one side told of a failure in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferError {
    /// Stable, for machines: `malformed`, `too_long`, `version`, `unasked`, `too_many`,
    /// `truncated`, `unknown_handle`, `told`.
    pub code: String,
    /// Whose bytes.
    pub direction: Direction,
    /// Where in that direction of the channel, in bytes.
    pub at: u64,
    pub message: String,
    /// What one side told the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<TextOrBytes>,
    /// True where files of this channel are not told about any more; its `stream` sums go on.
    pub stopped: bool,
}

/// rsync's far side, as its command asked for it; told when both sides have greeted as rsync does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rsync {
    /// `write`: to the target. `read`: from it.
    pub operation: FileUse,
    pub options: Vec<TextOrBytes>,
    pub paths: Vec<TextOrBytes>,
    /// Arguments beyond what is listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// git's far side, as its command asked for it; told when the target has answered as git does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// `read`: clone and fetch. `write`: push.
    pub operation: FileUse,
    /// `git-upload-pack`, `git-receive-pack` or `git-upload-archive`.
    pub service: String,
    pub repository: TextOrBytes,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
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

    #[test]
    fn lines_are_golden() {
        golden(
            Kind::SftpFile(Box::new(SftpFile {
                operation: FileUse::Write,
                path: TextOrBytes::from_bytes(b"/tmp/a b\xff"),
                flags: vec![OpenFlag::Write, OpenFlag::Create, OpenFlag::Truncate],
                mode: Some("0644".to_owned()),
                read: None,
                written: Some(FileContent {
                    bytes: 3,
                    scope: Scope::Whole,
                    sha256: Some("00".to_owned()),
                    from: 0,
                    to: 3,
                }),
                size: Some(3),
                result: "ok".to_owned(),
                closed: FileClosed::Client,
            })),
            r#"{"kind":"sftp.file","operation":"write","path":{"base64":"L3RtcC9hIGL/","n":9},"flags":["write","create","truncate"],"mode":"0644","written":{"bytes":3,"scope":"whole","sha256":"00","from":0,"to":3},"size":3,"result":"ok","closed":"client","outcome":"success"}"#,
        );
        golden(
            Kind::SftpOperation(Box::new(SftpOperation {
                operation: "rename".to_owned(),
                path: Some(TextOrBytes::from_bytes(b"a")),
                to: Some(TextOrBytes::from_bytes(b"b")),
                attributes: None,
                result: "ok".to_owned(),
            })),
            r#"{"kind":"sftp.operation","operation":"rename","path":{"data":"a","n":1},"to":{"data":"b","n":1},"result":"ok","outcome":"success"}"#,
        );
        golden(
            Kind::Git(Git {
                operation: FileUse::Read,
                service: "git-upload-pack".to_owned(),
                repository: TextOrBytes::from_bytes(b"/srv/x.git"),
            }),
            r#"{"kind":"git","operation":"read","service":"git-upload-pack","repository":{"data":"/srv/x.git","n":10},"outcome":"success"}"#,
        );
    }
}
