//! A TLS ClientHello, and whom it asks for (RFC 8446 §4.1.2, RFC 6066 §3). It may span records, and
//! be cut anywhere.

use super::stream::{Label, Said};
use crate::inspect::fields::Fields;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// RFC 8446 §5.1, and what TLS 1.2 allowed beyond it.
const RECORD_BYTES_MAX: u16 = 16 * 1024 + 2 * 1024;
/// A host name in DNS, dots included.
const NAME_BYTES_MAX: usize = 253;

/// `Tls` as soon as it is certain who is asked for, or that nobody is. `whole`: nothing follows.
pub(super) fn read(bytes: &[u8], whole: bool) -> Said {
    let (message, open) = handshake(bytes);
    let open = open && !whole;
    let fixed = |at: usize, wanted: u8| message.get(at).is_none_or(|byte| *byte == wanted);
    if !fixed(0, CLIENT_HELLO) || !fixed(4, 3) {
        return Said::Nothing;
    }
    let mut fields = Fields(&message);
    let Some((length, _version)) = fields.u32().zip(fields.u8()) else {
        return if open { Said::NotYet } else { Said::Nothing };
    };
    // The length counts from the version on.
    let rest = usize::try_from(length & 0xff_ffff).unwrap_or(usize::MAX);
    let rest = rest.saturating_sub(1);
    let open = open && fields.0.len() < rest;
    let hello = fields.0.get(..rest).unwrap_or(fields.0);
    match server_name(Fields(hello)) {
        Named::Cut if open => Said::NotYet,
        Named::Cut | Named::Nobody => Said::Is(Label::Tls { sni: None }),
        Named::As(name) => Said::Is(Label::Tls { sni: host(name) }),
    }
}

/// What the records hold, and whether more of them may follow.
fn handshake(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut message = Vec::new();
    let mut records = Fields(bytes);
    loop {
        let fixed = |at: usize, wanted: u8| records.0.get(at).is_none_or(|byte| *byte == wanted);
        if !fixed(0, HANDSHAKE) || !fixed(1, 3) || records.0.get(2).is_some_and(|minor| *minor > 4)
        {
            return (message, false);
        }
        let head = records.take(3);
        let Some(length) = head.and_then(|_| records.u16()) else {
            return (message, true);
        };
        if !(1..=RECORD_BYTES_MAX).contains(&length) {
            return (message, false);
        }
        let n = usize::from(length).min(records.0.len());
        message.extend_from_slice(records.take(n).unwrap_or_default());
    }
}

enum Named<'a> {
    /// The bytes end before it could be said.
    Cut,
    Nobody,
    As(&'a [u8]),
}

/// From behind the first byte of the version.
fn server_name(mut hello: Fields<'_>) -> Named<'_> {
    let before = |hello: &mut Fields<'_>| {
        hello.take(1 + 32)?; // version, random
        hello.vector8()?; // session id
        hello.vector16()?; // cipher suites
        hello.vector8()?; // compression methods
        hello.u16()
    };
    let Some(length) = before(&mut hello).map(usize::from) else {
        return Named::Cut;
    };
    let mut extensions = Fields(hello.0.get(..length).unwrap_or(hello.0));
    let cut = hello.0.len() < length;
    while let Some((kind, data)) = extensions.u16().zip(extensions.vector16()) {
        if kind == SERVER_NAME {
            return name_of(Fields(data)).map_or(Named::Nobody, Named::As);
        }
    }
    if cut { Named::Cut } else { Named::Nobody }
}

/// A list of one: RFC 6066 knows no other kind of name.
fn name_of(data: Fields<'_>) -> Option<&[u8]> {
    let mut list = data;
    let mut list = Fields(list.vector16()?);
    let kind = list.u8()?;
    let name = list.vector16()?;
    (kind == HOST_NAME).then_some(name)
}

/// Only what can be a name in DNS is told: the opener may write anything there.
fn host(name: &[u8]) -> Option<String> {
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(is_host);
    let name = std::str::from_utf8(name).ok().filter(|_| fits)?;
    Some(name.to_ascii_lowercase())
}
