use super::{Refusal, Revocations};
use crate::id::Subject;
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use std::collections::BTreeMap;
use std::time::Duration;

/// What identities are checked against. Immutable; a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    pub authorities: Vec<Authority>,
    pub revocations: Revocations,
    /// At login a certificate still valid for longer than this (and 5 minutes) is refused.
    pub max_lifetime: Duration,
    pub principals: PrincipalsMode,
    pub from_targets: FromTargets,
    /// subject -> groups, from `[identity] groups`; added to those of a believed extension.
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Trust {
    /// By key, not by name or fingerprint.
    pub(super) fn authority(&self, key: &KeyData) -> Option<&Authority> {
        self.authorities
            .iter()
            .find(|authority| authority.key.key_data() == key)
    }
}

#[derive(Clone, Debug)]
pub struct Authority {
    pub key: PublicKey,
    /// Patterns (`*` and `?`) of key ids it may speak for. Empty: none.
    pub identities: Vec<String>,
    /// Patterns of principals it may name; empty means any.
    pub principals: Vec<String>,
    /// Extensions it is trusted for: `groups`, `grant`, `approvers`, `reason`, `ticket`.
    pub believe: Vec<String>,
}

impl Authority {
    pub(super) fn check_scope(
        &self,
        subject: &Subject,
        principals: &[String],
    ) -> Result<(), Refusal> {
        if !matches_any(&self.identities, subject.as_str()) {
            return Err(Refusal::IdentityOutside(subject.to_string()));
        }
        if self.principals.is_empty() {
            return Ok(());
        }
        match principals
            .iter()
            .find(|name| !matches_any(&self.principals, name))
        {
            Some(outside) => Err(Refusal::PrincipalOutside(outside.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn is_believed_for(&self, statement: &str) -> bool {
        self.believe.iter().any(|believed| believed == statement)
    }
}

/// A login from the address of a target: an agent that was forwarded there opens this bastion to
/// whoever is root on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FromTargets {
    #[default]
    Refuse,
    Allow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrincipalsMode {
    /// The target login must be a principal.
    #[default]
    Login,
    /// The identity must be a principal; policy alone decides logins.
    Identity,
}

fn matches_any(patterns: &[String], text: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
}

/// `*` is any run of bytes, `?` is one. Goes back to the last star only, so the work is at most
/// pattern times text; a recursive matcher can be made to take for ever.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || Some(wanted) == text.get(t) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "ana", true),
            ("", "", true),
            ("", "a", false),
            ("ana", "ana", true),
            ("ana", "anab", false),
            ("ana", "Ana", false),
            ("*@example.com", "ana@example.com", true),
            ("*@example.com", "ana@example.com.evil", false),
            ("db-?", "db-1", true),
            ("db-?", "db-", false),
            ("db-?", "db-12", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("**a", "ba", true),
            ("?*", "", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_hard_pattern_ends_soon() {
        let pattern = "a*".repeat(64) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(8_192).as_bytes()));
    }

    #[test]
    fn an_authority_without_identities_speaks_for_nobody() {
        assert!(!matches_any(&[], "ana"));
    }
}
