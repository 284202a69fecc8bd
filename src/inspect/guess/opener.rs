//! What the side that opened the stream says first. Each reader is given a prefix of the stream, and
//! what it says of a prefix it says of everything that begins with it.

use super::stream::{Label, Said, any};
use super::tls;
use crate::inspect::fields::Fields;

/// PostgreSQL's own bound for this packet (MAX_STARTUP_PACKET_LENGTH).
const STARTUP_BYTES_MAX: u32 = 10_000;
/// PostgreSQL "Message Formats": StartupMessage 3.x, CancelRequest, SSLRequest, GSSENCRequest.
const STARTUP_MAJOR: u32 = 3;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;
/// No method is longer (BASELINE-CONTROL of RFC 3253 has 16).
const METHOD_BYTES_MAX: usize = 20;

/// `whole`: no further byte of this side will be looked at.
pub(super) fn read(bytes: &[u8], whole: bool) -> Said {
    let said = [
        ssh(bytes),
        tls::read(bytes, whole),
        http(bytes),
        postgres(bytes),
        rdp(bytes),
    ];
    any(said, whole)
}

/// RFC 4253 §4.2: a client sends nothing before it.
pub(super) fn ssh(bytes: &[u8]) -> Said {
    match begins(bytes, b"SSH-") {
        Some(true) => match bytes.get(4) {
            None => Said::NotYet,
            Some(digit) if digit.is_ascii_digit() => Said::Is(Label::Ssh),
            Some(_) => Said::Nothing,
        },
        Some(false) => Said::Nothing,
        None => Said::NotYet,
    }
}

/// RFC 9112 §3: a method, a target without spaces, `HTTP/`. HTTP/2 begins alike (RFC 9113 §3.4).
fn http(bytes: &[u8]) -> Said {
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let method = method.unwrap_or_default();
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    if method.len() > METHOD_BYTES_MAX || !method.iter().all(is_method) {
        return Said::Nothing;
    }
    let Some(target) = target else {
        return Said::NotYet;
    };
    if method.len() < 3 || !target.iter().all(|byte| (0x21..0x7f).contains(byte)) {
        return Said::Nothing;
    }
    let Some(version) = version else {
        return Said::NotYet;
    };
    match (target.is_empty(), begins(version, b"HTTP/")) {
        (true, _) | (_, Some(false)) => Said::Nothing,
        (false, Some(true)) => Said::Is(Label::Http),
        (false, None) => Said::NotYet,
    }
}

fn postgres(bytes: &[u8]) -> Said {
    let mut fields = Fields(bytes);
    // The length is below 10,000, so the first two bytes are known before the rest is there.
    if bytes.iter().take(2).any(|byte| *byte != 0) {
        return Said::Nothing;
    }
    let Some((length, code)) = fields.u32().zip(fields.u32()) else {
        return Said::NotYet;
    };
    let is = match code {
        SSL | GSSENC => length == 8,
        CANCEL => (16..=STARTUP_BYTES_MAX).contains(&length),
        _ => code >> 16 == STARTUP_MAJOR && (9..=STARTUP_BYTES_MAX).contains(&length),
    };
    if is {
        Said::Is(Label::Postgres)
    } else {
        Said::Nothing
    }
}

/// MS-RDPBCGR §2.2.1.1: TPKT, an X.224 connection request, then a cookie or a negotiation request,
/// or nothing. Others speak X.224 too, and ask for other things in it.
fn rdp(bytes: &[u8]) -> Said {
    let mut fields = Fields(bytes);
    let fixed = |at: usize, wanted: u8| bytes.get(at).is_none_or(|byte| *byte == wanted);
    if !fixed(0, 3) || !fixed(1, 0) || bytes.get(5).is_some_and(|code| code & 0xf0 != 0xe0) {
        return Said::Nothing;
    }
    let Some((length, indicator)) = fields.u32().zip(fields.u8()) else {
        return Said::NotYet;
    };
    // TPKT's four bytes, and the indicator does not count itself.
    let length = length & 0xffff;
    if !(11..=260).contains(&length) || u32::from(indicator) + 5 != length {
        return Said::Nothing;
    }
    if bytes.len() < 11 {
        return Said::NotYet;
    }
    match bytes.get(11) {
        _ if length == 11 => Said::Is(Label::Rdp),
        None => Said::NotYet,
        Some(b'C' | 1) => Said::Is(Label::Rdp),
        Some(_) => Said::Nothing,
    }
}

/// Whether the stream begins with `word`; `None` while it is too short to say.
fn begins(bytes: &[u8], word: &[u8]) -> Option<bool> {
    let n = bytes.len().min(word.len());
    match (bytes.get(..n) == word.get(..n), n == word.len()) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        (true, false) => None,
    }
}
