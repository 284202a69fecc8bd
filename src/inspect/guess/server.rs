//! What the side that answers says first: some servers speak before they are asked.

use super::opener::ssh;
use super::stream::{Label, Said, any};
use crate::inspect::fields::Fields;

/// MySQL "Protocol::HandshakeV10".
const HANDSHAKE: u8 = 10;
/// `8.0.36-0ubuntu0.22.04.1`, `5.5.5-10.11.6-MariaDB-0+deb12u1` and the like.
const VERSION_BYTES_MAX: usize = 255;

pub(super) fn read(bytes: &[u8], whole: bool) -> Said {
    any([mysql(bytes), ssh_after_lines(bytes)], whole)
}

/// RFC 4253 §4.2: a server may send other lines before it.
fn ssh_after_lines(bytes: &[u8]) -> Said {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\r' | b' '..=b'~' | 0x80..);
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match ssh(line) {
            Said::Is(label) => return Said::Is(label),
            Said::NotYet if lines.peek().is_none() => return Said::NotYet,
            Said::NotYet | Said::Nothing if line.iter().all(is_text) => {}
            Said::NotYet | Said::Nothing => return Said::Nothing,
        }
    }
    Said::NotYet
}

fn mysql(bytes: &[u8]) -> Said {
    let fixed = |at: usize, wanted: u8| bytes.get(at).is_none_or(|byte| *byte == wanted);
    // Length (little endian, some 80 bytes), sequence 0, version of the protocol.
    if !fixed(2, 0) || !fixed(3, 0) || !fixed(4, HANDSHAKE) {
        return Said::Nothing;
    }
    let mut fields = Fields(bytes);
    if fields.take(5).is_none() {
        return Said::NotYet;
    }
    let is_end = |byte: &u8| *byte == 0;
    let version = fields.0.split(is_end).next().unwrap_or_default();
    let is_version = |byte: &u8| (0x20..0x7f).contains(byte);
    if version.len() > VERSION_BYTES_MAX || !version.iter().all(is_version) {
        return Said::Nothing;
    }
    if version.len() == fields.0.len() {
        return Said::NotYet;
    }
    // Its end, thread id, eight bytes of salt; then a zero.
    match fields
        .take(version.len() + 1 + 12)
        .and_then(|_| fields.u8())
    {
        _ if version.is_empty() => Said::Nothing,
        None => Said::NotYet,
        Some(0) => Said::Is(Label::Mysql),
        Some(_) => Said::Nothing,
    }
}
