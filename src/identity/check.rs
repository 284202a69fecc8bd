use super::{Identity, PrincipalsMode, Refusal, Trust, algorithm, options, statement};
use crate::event::CertificateFacts;
use crate::id::Subject;
use chrono::{DateTime, Utc};
use russh::keys::ssh_key::{Certificate, HashAlg};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What clocks of CAs and bastions may differ by, on top of `max_lifetime`.
const LIFETIME_LEEWAY: Duration = Duration::from_secs(5 * 60);
/// As OpenSSH (sshkey.h, `SSHKEY_CERT_MAX_PRINCIPALS`).
const PRINCIPALS_MAX: usize = 256;
/// 9999-12-31T23:59:59Z. "Forever" (all bits set, PROTOCOL.certkeys) and anything else behind the
/// last second that RFC 3339 can write is shown and used as this.
const LAST_SECOND: u64 = 253_402_300_799;

/// At login. `source` is the address the connection came from.
///
/// What the certificate says counts only from the signature on: before it everything is a claim.
pub fn check(
    certificate: &Certificate,
    trust: &Trust,
    source: IpAddr,
    now: SystemTime,
) -> Result<Identity, Refusal> {
    if !certificate.cert_type().is_user() {
        return Err(Refusal::NotUser);
    }
    let authority = trust
        .authority(certificate.signature_key())
        .ok_or_else(|| Refusal::UnknownAuthority(fingerprint_of_ca(certificate)))?;
    algorithm::check(certificate)?;
    check_validity(certificate, now)?;
    check_signature(certificate)?;
    check_revoked(certificate, trust)?;
    check_lifetime(certificate, trust.max_lifetime, now)?;

    let subject = subject_of(certificate)?;
    let principals = certificate.valid_principals();
    check_principals(&subject, principals, trust.principals)?;
    authority.check_scope(&subject, principals)?;
    let restrictions = options::check(certificate, source)?;
    let said = statement::read(certificate, authority)?;

    Ok(Identity {
        groups: groups_of(&subject, said.groups, trust),
        principals: principals.to_vec(),
        mode: trust.principals,
        restrictions,
        facts: facts_of(certificate),
        why: said.why,
        certificate: Box::new(certificate.clone()),
        valid_after: time_of(certificate.valid_after()),
        valid_before: time_of(certificate.valid_before()),
        subject,
    })
}

/// While in use: expiry, revocation, and whether its CA may still speak for it, with the trust in
/// force now. Not `max_lifetime`.
pub fn recheck(identity: &Identity, trust: &Trust, now: SystemTime) -> Result<(), Refusal> {
    let certificate = identity.certificate();
    if seconds(now) >= certificate.valid_before() {
        return Err(Refusal::Expired);
    }
    let authority = trust
        .authority(certificate.signature_key())
        .ok_or_else(|| Refusal::UnknownAuthority(fingerprint_of_ca(certificate)))?;
    authority.check_scope(identity.subject(), identity.principals())?;
    check_principals(identity.subject(), identity.principals(), trust.principals)?;
    check_revoked(certificate, trust)
}

/// The same person under the trust in force now, if it gives them other groups or another way to
/// their logins than before.
pub fn regarded_now(identity: &Identity, trust: &Trust) -> Option<Identity> {
    let certificate = identity.certificate();
    let authority = trust.authority(certificate.signature_key())?;
    let said = statement::read(certificate, authority).ok()?;
    let newer = Identity {
        groups: groups_of(identity.subject(), said.groups, trust),
        mode: trust.principals,
        ..identity.clone()
    };
    let changed = newer.groups != identity.groups || newer.mode != identity.mode;
    changed.then_some(newer)
}

/// What a certificate says of itself, unchecked: for the events of refused logins.
pub fn facts_of(certificate: &Certificate) -> CertificateFacts {
    CertificateFacts {
        fingerprint: certificate
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string(),
        key_id: certificate.key_id().to_owned(),
        serial: certificate.serial(),
        ca: fingerprint_of_ca(certificate),
        not_after: utc_of(certificate.valid_before()),
    }
}

fn fingerprint_of_ca(certificate: &Certificate) -> String {
    certificate
        .signature_key()
        .fingerprint(HashAlg::Sha256)
        .to_string()
}

/// Half open, in whole seconds, as OpenSSH (sshkey.c, `sshkey_cert_check_authority`): the second of
/// expiry is already too late.
fn check_validity(certificate: &Certificate, now: SystemTime) -> Result<(), Refusal> {
    let now = seconds(now);
    if now < certificate.valid_after() {
        return Err(Refusal::NotYetValid);
    }
    if now >= certificate.valid_before() {
        return Err(Refusal::Expired);
    }
    Ok(())
}

/// The library verified it on decoding in some releases and not in others; a certificate that came
/// by another way may never have been. So it is done here.
fn check_signature(certificate: &Certificate) -> Result<(), Refusal> {
    let ca = certificate.signature_key().fingerprint(HashAlg::Sha256);
    // At its first second, because the time itself has been checked with its own refusals.
    certificate
        .validate_at(certificate.valid_after(), [&ca])
        .map_err(|_| Refusal::BadSignature)
}

fn check_revoked(certificate: &Certificate, trust: &Trust) -> Result<(), Refusal> {
    match trust.revocations.revoked(certificate) {
        Some(by) => Err(Refusal::Revoked(by)),
        None => Ok(()),
    }
}

fn check_lifetime(
    certificate: &Certificate,
    max: Duration,
    now: SystemTime,
) -> Result<(), Refusal> {
    let remaining_s = certificate.valid_before().saturating_sub(seconds(now));
    let allowed_s = max.saturating_add(LIFETIME_LEEWAY).as_secs();
    if remaining_s > allowed_s {
        return Err(Refusal::TooLong {
            remaining_s,
            allowed_s,
        });
    }
    Ok(())
}

fn subject_of(certificate: &Certificate) -> Result<Subject, Refusal> {
    certificate
        .key_id()
        .parse()
        .map_err(|problem| Refusal::BadKeyId {
            key_id: certificate.key_id().to_owned(),
            problem,
        })
}

/// An empty list means "any" to some and "none" to others (PROTOCOL.certkeys says any); it is
/// refused.
fn check_principals(
    subject: &Subject,
    principals: &[String],
    mode: PrincipalsMode,
) -> Result<(), Refusal> {
    if principals.is_empty() {
        return Err(Refusal::NoPrincipal);
    }
    if principals.len() > PRINCIPALS_MAX {
        return Err(Refusal::TooManyPrincipals(principals.len()));
    }
    match mode {
        PrincipalsMode::Login => Ok(()),
        PrincipalsMode::Identity if principals.iter().any(|name| name == subject.as_str()) => {
            Ok(())
        }
        PrincipalsMode::Identity => Err(Refusal::IdentityNotPrincipal(subject.to_string())),
    }
}

/// Those that the CA is believed for and those of the mapping, each once, in that order.
fn groups_of(subject: &Subject, said: Vec<String>, trust: &Trust) -> Vec<String> {
    let mapped = trust
        .groups
        .get(subject.as_str())
        .into_iter()
        .flatten()
        .cloned();
    let mut groups: Vec<String> = Vec::new();
    for group in said.into_iter().chain(mapped) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Before 1970 is second 0: nothing is valid that was issued since.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn time_of(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second.min(LAST_SECOND))
}

pub(super) fn utc_of(second: u64) -> DateTime<Utc> {
    time_of(second).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever_is_a_time_that_everybody_can_write() {
        assert_eq!(utc_of(u64::MAX).to_rfc3339(), "9999-12-31T23:59:59+00:00");
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
