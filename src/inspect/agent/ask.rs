//! What one message of the target asks for.

use super::key::{fingerprint, kind, text};
use crate::event::{AgentRefuse, AgentSign, AgentSigned, Kind};
use crate::inspect::fields::Fields;

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const EXTENSION: u8 = 27;
/// RFC 4252 §7.
const USERAUTH_REQUEST: u8 = 50;
const SESSION_BIND: &[u8] = b"session-bind@openssh.com";
const QUERY: &[u8] = b"query";

/// A request that goes on to the person's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Sign,
    Bind,
    Query,
}

impl Asked {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Sign => "sign",
            Self::Bind => "bind",
            Self::Query => "query",
        }
    }
}

/// What it is, for the event; `Some` where it goes on. What cannot be read does not.
pub(super) fn read(message: &[u8]) -> (Option<Asked>, Kind) {
    let understood = match message.split_first() {
        Some((&REQUEST_IDENTITIES, [])) => Some((Asked::List, Kind::AgentList)),
        Some((&SIGN_REQUEST, rest)) => sign(Fields(rest)),
        Some((&EXTENSION, rest)) => extension(Fields(rest)),
        Some(_) | None => None,
    };
    match understood {
        Some((asked, kind)) => (Some(asked), kind),
        None => (None, Kind::AgentRefuse(Box::new(refused(message)))),
    }
}

/// §4.6 of the draft: key, data, flags.
fn sign(mut fields: Fields<'_>) -> Option<(Asked, Kind)> {
    let (key, data) = (fields.string()?, fields.string()?);
    let flags = fields.u32()?;
    let fact = AgentSign {
        key: fingerprint(key),
        key_type: kind(key),
        flags,
        signs: signed(data),
        bytes: data.len() as u64,
    };
    let whole = fields.0.is_empty();
    whole.then(|| (Asked::Sign, Kind::AgentSign(Box::new(fact))))
}

fn extension(mut fields: Fields<'_>) -> Option<(Asked, Kind)> {
    match fields.string()? {
        QUERY if fields.0.is_empty() => Some((Asked::Query, Kind::AgentQuery)),
        SESSION_BIND => {
            // PROTOCOL.agent §1: host key, session id, signature, whether this is for forwarding.
            let host_key = fingerprint(fields.string()?);
            let (_session, _signature) = (fields.string()?, fields.string()?);
            let forwarding = fields.u8()? != 0;
            let fact = Kind::AgentBind {
                host_key,
                forwarding,
            };
            fields.0.is_empty().then_some((Asked::Bind, fact))
        }
        _ => None,
    }
}

fn signed(data: &[u8]) -> AgentSigned {
    login(Fields(data))
        .or_else(|| message(data))
        .unwrap_or(AgentSigned::Unknown)
}

/// RFC 4252 §7, and PROTOCOL of OpenSSH for `publickey-hostbound-v00@openssh.com`.
fn login(mut fields: Fields<'_>) -> Option<AgentSigned> {
    let _session = fields.string()?;
    if fields.u8()? != USERAUTH_REQUEST {
        return None;
    }
    let (user, service) = (fields.string()?, fields.string()?);
    let host_bound = match fields.string()? {
        b"publickey" => false,
        b"publickey-hostbound-v00@openssh.com" => true,
        _ => return None,
    };
    let _has_signature = fields.u8()?;
    let (_algorithm, _key) = (fields.string()?, fields.string()?);
    let host_key = match host_bound {
        true => Some(fingerprint(fields.string()?)),
        false => None,
    };
    fields.0.is_empty().then(|| AgentSigned::Login {
        user: text(user),
        service: text(service),
        host_key,
    })
}

/// PROTOCOL.sshsig §3: namespace, reserved, hash algorithm, hash.
fn message(data: &[u8]) -> Option<AgentSigned> {
    let mut fields = Fields(data.strip_prefix(b"SSHSIG")?);
    let namespace = fields.string()?;
    for _ in 0..3 {
        fields.string()?;
    }
    fields.0.is_empty().then(|| AgentSigned::Message {
        namespace: text(namespace),
    })
}

fn refused(message: &[u8]) -> AgentRefuse {
    let (number, rest) = match message.split_first() {
        Some((number, rest)) => (*number, rest),
        None => (0, message),
    };
    let extension = (number == EXTENSION).then(|| Fields(rest).string());
    AgentRefuse {
        request: name(number),
        extension: extension.flatten().map(text),
        bytes: message.len() as u64,
    }
}

fn name(number: u8) -> String {
    let name = match number {
        1 => "list-v1",
        REQUEST_IDENTITIES => "list",
        SIGN_REQUEST => "sign",
        17 => "add",
        18 => "remove",
        19 => "remove-all",
        20 => "add-smartcard",
        21 => "remove-smartcard",
        22 => "lock",
        23 => "unlock",
        25 => "add-constrained",
        26 => "add-smartcard-constrained",
        EXTENSION => "extension",
        _ => return number.to_string(),
    };
    name.to_owned()
}
