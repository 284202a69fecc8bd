//! SSH facts become events here and nowhere else.

use crate::event::{
    Audit, Body, CertificateFacts, Entry, Kind, Mfa, Note, Outcome, Secret, Source, Where, Who, Why,
};
use crate::id::{ChannelId, SessionId};
use crate::identity::Identity;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who, where and why of a connection or session, shared by all its events.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    pub(crate) who: Arc<Who>,
    pub(crate) place: Arc<Where>,
    pub(crate) why: Option<Arc<Why>>,
}

impl Tap {
    pub(crate) fn audit(&self, kind: Kind, outcome: Outcome) -> Audit {
        Audit {
            kind,
            outcome,
            who: Some(Arc::clone(&self.who)),
            place: Some(Arc::clone(&self.place)),
            why: self.why.clone(),
        }
    }

    pub(crate) fn on(&self, channel: ChannelId, kind: Kind, outcome: Outcome) -> Entry {
        Entry::on(channel, Body::Audit(Box::new(self.audit(kind, outcome))))
    }
}

pub(crate) fn source(address: SocketAddr) -> Source {
    Source {
        ip: address.ip().to_canonical(),
        port: address.port(),
    }
}

/// A proven person.
pub(crate) fn who(identity: &Identity, user_name: &str, address: SocketAddr) -> Arc<Who> {
    Arc::new(Who {
        subject: Some(identity.subject().clone()),
        name: Some(user_name.to_owned()),
        groups: identity.groups().to_vec(),
        certificate: Some(identity.facts().clone()),
        mfa: Mfa::Unknown,
        source: Some(source(address)),
    })
}

/// Somebody who claimed to be, or said nothing.
pub(crate) fn stranger(
    user_name: &str,
    claimed: Option<CertificateFacts>,
    address: SocketAddr,
) -> Arc<Who> {
    Arc::new(Who {
        subject: None,
        name: Some(user_name.chars().take(256).collect()),
        groups: Vec::new(),
        certificate: claimed,
        mfa: Mfa::Unknown,
        source: Some(source(address)),
    })
}

pub(crate) fn nowhere(node: &str) -> Arc<Where> {
    Arc::new(Where {
        node: node.to_owned(),
        target: None,
        address: None,
        port: None,
        login: None,
    })
}

pub(crate) fn note(code: &str, message: impl Into<String>, reference: SessionId) -> Note {
    Note {
        code: code.to_owned(),
        message: message.into(),
        reference: Some(reference),
        certificate: None,
        keys: Vec::new(),
    }
}

/// What the bastion itself puts on a person's terminal.
pub(crate) fn notice(channel: ChannelId, text: &str) -> Entry {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    Entry::on(channel, Body::Notice(Secret(bytes)))
}
