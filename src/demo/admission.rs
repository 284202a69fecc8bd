//! Who may log in to the demo's target: what a target's sshd checks of a session certificate.

use ipnet::IpNet;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Certificate, Fingerprint, HashAlg, PublicKey};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The one account of the target, and whose certificates open it.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) login: String,
    /// SHA-256 of the target CA's public key.
    authority: Fingerprint,
}

/// What a checked certificate leaves over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) pty: bool,
}

/// Why not. Goes into our trace; the other side is told no more than sshd tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no such login")]
    Login,
    #[error("signed by another CA, damaged, or not valid now")]
    Certificate,
    #[error("not a user certificate")]
    Kind,
    #[error("the login is not among the principals")]
    Principal,
    #[error("unknown critical option `{0}`")]
    CriticalOption(String),
    #[error("not good from this address")]
    Source,
}

impl Admission {
    pub(super) fn new(login: &str, target_ca: &PublicKey) -> Self {
        Self {
            login: login.to_owned(),
            authority: target_ca.fingerprint(HashAlg::Sha256),
        }
    }

    /// russh has proved before that the person holds the certified key.
    pub(super) fn check(
        &self,
        login: &str,
        certificate: &Certificate,
        source: IpAddr,
        now: SystemTime,
    ) -> Result<Admitted, Refusal> {
        if login != self.login {
            return Err(Refusal::Login);
        }
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Refusal::Certificate)?;
        certificate
            .validate_at(now.as_secs(), [&self.authority])
            .map_err(|_| Refusal::Certificate)?;
        if certificate.cert_type() != CertType::User {
            return Err(Refusal::Kind);
        }
        // PROTOCOL.certkeys lets an empty list mean everybody. Not here.
        if !certificate.valid_principals().iter().any(|p| p == login) {
            return Err(Refusal::Principal);
        }
        for (name, value) in certificate.critical_options().iter() {
            match name.as_str() {
                "source-address" if is_from(source, value) => {}
                "source-address" => return Err(Refusal::Source),
                unknown => return Err(Refusal::CriticalOption(unknown.to_owned())),
            }
        }
        Ok(Admitted {
            pty: certificate.extensions().contains_key("permit-pty"),
        })
    }
}

/// PROTOCOL.certkeys: a comma-separated list of addresses in CIDR form. A part that cannot be read
/// matches nobody.
fn is_from(source: IpAddr, list: &str) -> bool {
    let source = source.to_canonical();
    list.split(',').any(|part| {
        let part = part.trim();
        let network = part.parse::<IpNet>();
        let network = network.or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
        network.is_ok_and(|network| network.contains(&source))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::keys;
    use russh::keys::ssh_key::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const NOW: u64 = 1_800_000_000;
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn good(user: &PrivateKey) -> Builder {
        let key = user.public_key().key_data().clone();
        let mut wanted = Builder::new([7; 16], key, NOW - 60, NOW + 120).unwrap();
        wanted.key_id("portcullis:ana:1:2").unwrap();
        wanted
            .critical_option("source-address", "10.0.0.0/8,127.0.0.1/32")
            .unwrap();
        wanted
    }

    struct Try {
        rogue: bool,
        login: &'static str,
        source: IpAddr,
        now: u64,
    }

    const USUAL: Try = Try {
        rogue: false,
        login: "demo",
        source: HERE,
        now: NOW,
    };

    fn verdict(given: Try, change: impl FnOnce(&mut Builder)) -> Result<Admitted, Refusal> {
        let trusted = keys::fresh().unwrap();
        let rogue = keys::fresh().unwrap();
        let mut wanted = good(&keys::fresh().unwrap());
        change(&mut wanted);
        let signer = if given.rogue { &rogue } else { &trusted };
        let certificate = wanted.sign(signer).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(given.now);
        let admission = Admission::new("demo", trusted.public_key());
        admission.check(given.login, &certificate, given.source, now)
    }

    fn principal(wanted: &mut Builder) {
        wanted.valid_principal("demo").unwrap();
    }

    #[test]
    fn what_sshd_would_refuse_is_refused() {
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let late = NOW + 120;
        let early = NOW - 61;
        #[rustfmt::skip]
        let table = [
            (Try { rogue: true, ..USUAL }, Refusal::Certificate),
            (Try { now: late, ..USUAL }, Refusal::Certificate),
            (Try { now: early, ..USUAL }, Refusal::Certificate),
            (Try { login: "root", ..USUAL }, Refusal::Login),
            (Try { source: elsewhere, ..USUAL }, Refusal::Source),
        ];
        for (given, expected) in table {
            assert_eq!(verdict(given, principal), Err(expected));
        }
    }

    #[test]
    fn what_the_certificate_says_is_read_strictly() {
        let everybody = |c: &mut Builder| {
            c.all_principals_valid().unwrap();
        };
        assert_eq!(verdict(USUAL, everybody), Err(Refusal::Principal));
        let other = |c: &mut Builder| {
            c.valid_principal("root").unwrap();
        };
        assert_eq!(verdict(USUAL, other), Err(Refusal::Principal));
        let host = |c: &mut Builder| {
            principal(c);
            c.cert_type(CertType::Host).unwrap();
        };
        assert_eq!(verdict(USUAL, host), Err(Refusal::Kind));
        let forced = |c: &mut Builder| {
            principal(c);
            c.critical_option("force-command", "true").unwrap();
        };
        let refusal = Refusal::CriticalOption("force-command".to_owned());
        assert_eq!(verdict(USUAL, forced), Err(refusal));
    }

    #[test]
    fn a_session_certificate_opens_the_target() {
        let plain = verdict(USUAL, principal);
        assert_eq!(plain, Ok(Admitted { pty: false }));
        let with_pty = |c: &mut Builder| {
            principal(c);
            c.extension("permit-pty", "").unwrap();
        };
        assert_eq!(verdict(USUAL, with_pty), Ok(Admitted { pty: true }));
    }
}
