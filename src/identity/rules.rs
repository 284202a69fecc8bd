use super::ranges::Ranges;
use super::refusal::quoted;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey, encoding::Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which rule revokes a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Serial(u64),
    KeyId,
    Key,
    Fingerprint,
    /// The key of its CA, by key or fingerprint.
    Authority,
    /// A key that the library cannot write again cannot be looked up; then it counts as revoked.
    Unreadable,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(serial) => write!(f, "serial {serial}"),
            Self::KeyId => f.write_str("its key id"),
            Self::Key => f.write_str("its key"),
            Self::Fingerprint => f.write_str("the fingerprint of its key"),
            Self::Authority => f.write_str("the key of its CA"),
            Self::Unreadable => f.write_str("its key cannot be compared"),
        }
    }
}

/// What one file revokes (PROTOCOL.krl §§2-5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// By the blob of the CA's key; the empty blob means any CA.
    pub(super) certificates: BTreeMap<Vec<u8>, CertificateRules>,
    pub(super) keys: BTreeSet<Vec<u8>>,
    pub(super) sha1: BTreeSet<Vec<u8>>,
    pub(super) sha256: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CertificateRules {
    pub(super) serials: Ranges,
    /// Bytes, because the format does not promise text.
    pub(super) key_ids: BTreeSet<Vec<u8>>,
}

impl Rules {
    /// As OpenSSH's `ssh_krl_check_key` (krl.c): the key, the certificate, then the key of its CA.
    pub(super) fn revoking(&self, certificate: &Certificate) -> Option<Rule> {
        let (Ok(key), Ok(ca)) = (
            blob(certificate.public_key()),
            blob(certificate.signature_key()),
        ) else {
            return Some(Rule::Unreadable);
        };
        self.revoking_key(&key)
            .or_else(|| self.certificates.get(&ca)?.revoking(certificate))
            .or_else(|| self.certificates.get(&Vec::new())?.revoking(certificate))
            .or_else(|| self.revoking_key(&ca).map(|_| Rule::Authority))
    }

    fn revoking_key(&self, blob: &[u8]) -> Option<Rule> {
        if self.keys.contains(blob) {
            return Some(Rule::Key);
        }
        let listed = |list: &BTreeSet<Vec<u8>>, kind| {
            !list.is_empty() && list.contains(digest(kind, blob).as_ref())
        };
        // SHA-1 here only finds what an operator listed by it; it proves nothing.
        if listed(&self.sha256, &SHA256) || listed(&self.sha1, &SHA1_FOR_LEGACY_USE_ONLY) {
            return Some(Rule::Fingerprint);
        }
        None
    }

    /// Ranges of serials count as one.
    pub(super) fn count(&self) -> u64 {
        let of_authorities: usize = self
            .certificates
            .values()
            .map(|rules| rules.serials.len() + rules.key_ids.len())
            .sum();
        let all = of_authorities + self.keys.len() + self.sha1.len() + self.sha256.len();
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// One line a rule, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (ca, rules) in &self.certificates {
            let of = if ca.is_empty() {
                "any CA".to_owned()
            } else {
                format!("CA {}", fingerprint(ca))
            };
            for (low, high) in rules.serials.iter() {
                lines.push(if low == high {
                    format!("serial {low} of {of}")
                } else {
                    format!("serials {low}-{high} of {of}")
                });
            }
            for key_id in &rules.key_ids {
                let text = String::from_utf8_lossy(key_id);
                lines.push(format!("key id `{}` of {of}", quoted(&text)));
            }
        }
        lines.extend(
            self.keys
                .iter()
                .map(|key| format!("key {}", fingerprint(key))),
        );
        lines.extend(
            self.sha256
                .iter()
                .map(|hash| format!("key with SHA-256 {}", hex::encode(hash))),
        );
        lines.extend(
            self.sha1
                .iter()
                .map(|hash| format!("key with SHA-1 {}", hex::encode(hash))),
        );
        lines
    }
}

impl CertificateRules {
    fn revoking(&self, certificate: &Certificate) -> Option<Rule> {
        if self.key_ids.contains(certificate.key_id().as_bytes()) {
            return Some(Rule::KeyId);
        }
        let serial = certificate.serial();
        // INVARIANT: 0, which a CA writes that does not count, is in no list: reading and writing
        // refuse it, as krl.c does.
        if self.serials.contains(serial) {
            return Some(Rule::Serial(serial));
        }
        None
    }
}

/// The key as it goes over the wire (RFC 4253 §6.6), never as certificate: what lists compare.
pub(super) fn blob(key: &KeyData) -> Result<Vec<u8>, russh::keys::ssh_key::encoding::Error> {
    key.encode_vec()
}

fn fingerprint(blob: &[u8]) -> String {
    match PublicKey::from_bytes(blob) {
        Ok(key) => key.fingerprint(HashAlg::Sha256).to_string(),
        Err(_) => format!(
            "with SHA-256 {}",
            hex::encode(digest(&SHA256, blob).as_ref())
        ),
    }
}
