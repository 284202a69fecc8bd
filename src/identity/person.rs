use super::{PrincipalsMode, Restrictions};
use crate::event::{CertificateFacts, Why};
use crate::id::{Login, Subject};
use russh::keys::ssh_key::Certificate;
use std::time::SystemTime;

/// A person whose certificate was checked. One maker: [`super::check`].
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) subject: Subject,
    pub(super) groups: Vec<String>,
    pub(super) principals: Vec<String>,
    pub(super) mode: PrincipalsMode,
    pub(super) restrictions: Restrictions,
    pub(super) facts: CertificateFacts,
    /// Reason, ticket, grant, approvers as far as the CA is believed for them; the rest as `claimed`.
    pub(super) why: Why,
    pub(super) certificate: Box<Certificate>,
    pub(super) valid_after: SystemTime,
    pub(super) valid_before: SystemTime,
}

impl Identity {
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
    pub fn principals(&self) -> &[String] {
        &self.principals
    }
    pub fn restrictions(&self) -> &Restrictions {
        &self.restrictions
    }
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
    pub fn why(&self) -> &Why {
        &self.why
    }
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
    pub fn valid_after(&self) -> SystemTime {
        self.valid_after
    }
    pub fn valid_before(&self) -> SystemTime {
        self.valid_before
    }
    /// Whether what runs under `older` may run on under this one: the same identity and key, valid
    /// for longer, and nothing taken away that is in use (a forced command, a terminal).
    pub fn carries_on(&self, older: &Self) -> bool {
        let left = older.restrictions.clone().and(self.restrictions.clone());
        self.subject == older.subject
            && self.facts.fingerprint == older.facts.fingerprint
            && self.valid_before > older.valid_before
            && left.is_ok_and(|left| left == older.restrictions)
    }
    /// In mode `login`: is this login one of the principals. In mode `identity`: always.
    pub fn may_log_in_as(&self, login: &Login) -> bool {
        match self.mode {
            PrincipalsMode::Login => self.principals.iter().any(|name| name == login.as_str()),
            PrincipalsMode::Identity => true,
        }
    }
}
