//! Is this the target? By host certificate, known_hosts or pinned fingerprint; never silently.

use crate::access::{HostCheck, Target};
use crate::event::HostKey;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::ssh_key::{Certificate, Fingerprint, HashAlg, KnownHosts, PublicKey};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Lists of CAs and known hosts are read at each dial, so that a change needs no restart.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a host was not believed. Says what was shown, what was expected, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostRefused {
    #[error("the target showed the host key {shown}, which nothing verifies{expected}")]
    Unknown { shown: String, expected: String },
    #[error("the target showed the host certificate of key {shown}, which is not good: {why}")]
    Certificate { shown: String, why: String },
    #[error("the target showed the host key {shown}, which is marked as revoked")]
    Revoked { shown: String },
    #[error("cannot read `{file}` to verify the target: {problem}")]
    File { file: String, problem: String },
}

/// What a target's key is held against.
#[derive(Debug)]
enum Check {
    Authorities(Vec<PublicKey>),
    Known(Vec<(Marked, HostPatterns, PublicKey)>),
    Pinned(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marked {
    Plain,
    Authority,
    Revoked,
}

/// Shared with the callback of the key exchange; keeps the verdict for whoever dialled.
pub(crate) struct HostVerifier {
    names: Vec<String>,
    port: u16,
    check: Check,
    now: SystemTime,
    verdict: Mutex<Option<Result<HostKey, HostRefused>>>,
}

impl HostVerifier {
    /// Reads what the target's configuration names.
    pub(crate) fn load(target: &Target, now: SystemTime) -> Result<Arc<Self>, HostRefused> {
        let check = match &target.host_check {
            HostCheck::Ca(file) => Check::Authorities(authorities(file)?),
            HostCheck::KnownHosts(file) => Check::Known(known(file)?),
            HostCheck::Pinned(keys) => Check::Pinned(keys.clone()),
            HostCheck::Missing => Check::Pinned(Vec::new()),
        };
        let mut names = vec![target.name.as_str().to_owned(), target.host.clone()];
        names.dedup();
        Ok(Arc::new(Self {
            names,
            port: target.port,
            check,
            now,
            verdict: Mutex::new(None),
        }))
    }

    pub(crate) fn verify(&self, presented: &PublicKeyOrCertificate) -> bool {
        let verdict = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.key(key),
            PublicKeyOrCertificate::Certificate(certificate) => self.certificate(certificate),
        };
        let good = verdict.is_ok();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        good
    }

    /// `None` when the target never got as far as showing a key.
    pub(crate) fn verdict(&self) -> Option<Result<HostKey, HostRefused>> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.clone()
    }

    fn key(&self, key: &PublicKey) -> Result<HostKey, HostRefused> {
        let shown = fingerprint(key);
        match &self.check {
            Check::Pinned(pinned) if pinned.contains(&shown) => Ok(verified(shown, "pinned")),
            Check::Pinned(pinned) => Err(HostRefused::Unknown {
                shown,
                expected: expected(pinned),
            }),
            Check::Authorities(cas) => Err(HostRefused::Unknown {
                shown,
                expected: format!(
                    "; a host certificate of {} was expected",
                    cas.iter().map(fingerprint).collect::<Vec<_>>().join(" or ")
                ),
            }),
            Check::Known(entries) => {
                let of = |marked| self.known_keys(entries, marked);
                if of(Marked::Revoked).any(|known| known.key_data() == key.key_data()) {
                    return Err(HostRefused::Revoked { shown });
                }
                if of(Marked::Plain).any(|known| known.key_data() == key.key_data()) {
                    return Ok(verified(shown, "known_hosts"));
                }
                let known: Vec<_> = of(Marked::Plain).map(fingerprint).collect();
                Err(HostRefused::Unknown {
                    shown,
                    expected: expected(&known),
                })
            }
        }
    }

    fn certificate(&self, certificate: &Certificate) -> Result<HostKey, HostRefused> {
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let shown = fingerprint(&key);
        let authorities: Vec<Fingerprint> = match &self.check {
            Check::Authorities(cas) => cas
                .iter()
                .map(|ca| ca.fingerprint(HashAlg::Sha256))
                .collect(),
            Check::Known(entries) => self
                .known_keys(entries, Marked::Authority)
                .map(|ca| ca.fingerprint(HashAlg::Sha256))
                .collect(),
            // The key itself is pinned: its certificate adds nothing and takes nothing away.
            Check::Pinned(_) => return self.key(&key),
        };
        if let Check::Known(entries) = &self.check
            && self
                .known_keys(entries, Marked::Revoked)
                .map(PublicKey::key_data)
                .any(|known| {
                    known == certificate.public_key() || known == certificate.signature_key()
                })
        {
            return Err(HostRefused::Revoked { shown });
        }
        if authorities.is_empty() {
            return self.key(&key);
        }
        self.judge(certificate, &authorities)
            .map(|()| verified(shown.clone(), "ca"))
            .map_err(|why| HostRefused::Certificate { shown, why })
    }

    /// PROTOCOL.certkeys: signature, type, time, name; no critical option is known for hosts.
    fn judge(&self, certificate: &Certificate, cas: &[Fingerprint]) -> Result<(), String> {
        if certificate.cert_type() != CertType::Host {
            return Err("it is not a host certificate".to_owned());
        }
        let now = self.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        certificate
            .validate_at(now.as_secs(), cas)
            .map_err(|_| "it is expired, not yet valid, or signed by another CA".to_owned())?;
        let algorithm = certificate.signature().algorithm();
        if matches!(
            algorithm,
            russh::keys::ssh_key::Algorithm::Rsa { hash: None }
        ) {
            return Err("it is signed with SHA-1".to_owned());
        }
        let named = certificate.valid_principals().iter().any(|principal| {
            self.names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(principal))
        });
        if !named {
            return Err(format!("it does not name `{}`", self.names.join("` or `")));
        }
        if certificate.critical_options().iter().next().is_some() {
            return Err("it has a critical option".to_owned());
        }
        Ok(())
    }

    fn known_keys<'a>(
        &'a self,
        entries: &'a [(Marked, HostPatterns, PublicKey)],
        marked: Marked,
    ) -> impl Iterator<Item = &'a PublicKey> {
        entries
            .iter()
            .filter(move |(mark, patterns, _)| *mark == marked && self.matches(patterns))
            .map(|(_, _, key)| key)
    }

    fn matches(&self, patterns: &HostPatterns) -> bool {
        self.names.iter().any(|name| {
            let written = match self.port {
                22 => name.clone(),
                port => format!("[{name}]:{port}"),
            };
            pattern_matches(patterns, &written)
        })
    }
}

/// sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT": patterns with `*` and `?`, a `!` refuses the whole line;
/// or HMAC-SHA1 of the name under a salt.
fn pattern_matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let mut found = false;
            for pattern in patterns {
                let (refuses, pattern) = match pattern.strip_prefix('!') {
                    Some(rest) => (true, rest),
                    None => (false, pattern.as_str()),
                };
                if crate::id::glob(pattern, name) {
                    if refuses {
                        return false;
                    }
                    found = true;
                }
            }
            found
        }
        HostPatterns::HashedName { salt, hash } => {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            ring::hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

fn verified(fingerprint: String, by: &str) -> HostKey {
    HostKey {
        fingerprint,
        verified_by: by.to_owned(),
    }
}

fn expected(known: &[String]) -> String {
    if known.is_empty() {
        return "; none is configured".to_owned();
    }
    format!("; expected {}", known.join(" or "))
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn read(file: &Path) -> Result<String, HostRefused> {
    let refused = |problem: String| HostRefused::File {
        file: file.display().to_string(),
        problem,
    };
    let length = std::fs::metadata(file)
        .map_err(|e| refused(e.to_string()))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(refused(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(file).map_err(|e| refused(e.to_string()))
}

fn authorities(file: &Path) -> Result<Vec<PublicKey>, HostRefused> {
    read(file)?
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            PublicKey::from_openssh(line).map_err(|error| HostRefused::File {
                file: file.display().to_string(),
                problem: format!("a line is no public key: {error}"),
            })
        })
        .collect()
}

fn known(file: &Path) -> Result<Vec<(Marked, HostPatterns, PublicKey)>, HostRefused> {
    let text = read(file)?;
    KnownHosts::new(&text)
        .map(|entry| {
            let entry = entry.map_err(|error| HostRefused::File {
                file: file.display().to_string(),
                problem: format!("a line is no known_hosts line: {error}"),
            })?;
            let marked = match entry.marker() {
                None => Marked::Plain,
                Some(Marker::CertAuthority) => Marked::Authority,
                Some(Marker::Revoked) => Marked::Revoked,
            };
            Ok((
                marked,
                entry.host_patterns().clone(),
                entry.public_key().clone(),
            ))
        })
        .collect()
}
