//! What a target answers (draft-ietf-secsh-filexfer-02 §7).

use super::fields::Fields;
use super::frames::{Bad, DATA, HANDLE_MAX};

pub(super) const OK: u32 = 0;
pub(super) const EOF: u32 = 1;
pub(super) const PERMISSION_DENIED: u32 = 3;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u32),
    Handle(Vec<u8>),
    /// So many bytes come after it.
    Data(u32),
    /// Names: how many.
    Names(u32),
    /// The size among them.
    Attributes(Option<u64>),
    Extended,
}

/// Type and first fields of an answer that is not VERSION: the id it answers, and what it says.
pub(super) fn parse(head: &[u8]) -> Result<(u32, Answer), Bad> {
    let kind = head.first().copied().unwrap_or(0);
    let fields = Fields(head.get(1..).unwrap_or_default());
    match read(kind, fields) {
        Some((_, Answer::Handle(handle))) if handle.len() > HANDLE_MAX => {
            let what = format!("a handle of {} bytes, at most {HANDLE_MAX}", handle.len());
            Err(Bad::malformed(what))
        }
        Some(found) => Ok(found),
        None => Err(Bad::malformed(format!(
            "an answer of type {kind} is unknown or shorter than its fields"
        ))),
    }
}

fn read(kind: u8, mut fields: Fields<'_>) -> Option<(u32, Answer)> {
    let id = fields.u32()?;
    let answer = match kind {
        101 => Answer::Status(fields.u32()?),
        102 => Answer::Handle(fields.owned()?),
        DATA => Answer::Data(fields.u32()?),
        104 => Answer::Names(fields.u32()?),
        105 => Answer::Attributes(fields.attributes()?.size),
        201 => Answer::Extended,
        _ => return None,
    };
    Some((id, answer))
}

/// §7, in words.
pub(super) fn status(code: u32) -> String {
    let word = match code {
        OK => "ok",
        EOF => "eof",
        2 => "no_such_file",
        PERMISSION_DENIED => "permission_denied",
        4 => "failure",
        5 => "bad_message",
        6 => "no_connection",
        7 => "connection_lost",
        8 => "op_unsupported",
        _ => return format!("status {code}"),
    };
    word.to_owned()
}
