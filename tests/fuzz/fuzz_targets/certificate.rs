//! Any bytes as a certificate; and any text as key id, principal, option and extension of a
//! certificate that a believed CA did sign, so that the fuzzer gets past the signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::identity::{self, Authority, Trust};
use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{Certificate, PrivateKey};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NOW: u64 = 1_800_000_000;
const NAMES: [&str; 12] = [
    "force-command",
    "source-address",
    "verify-required",
    "permit-pty",
    "permit-user-rc",
    "groups@portcullis",
    "reason@portcullis",
    "ticket@portcullis",
    "grant@portcullis",
    "approvers@portcullis",
    "other@portcullis",
    "other",
];

static CA: LazyLock<PrivateKey> = LazyLock::new(|| {
    PrivateKey::new(Ed25519Keypair::from_seed(&[7; 32]).into(), "fuzz").expect("a key of a seed")
});

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust {
    authorities: vec![Authority {
        key: CA.public_key().clone(),
        identities: vec!["*".to_owned()],
        principals: Vec::new(),
        believe: ["groups", "grant", "approvers"].map(str::to_owned).into(),
    }],
    max_lifetime: Duration::from_secs(8 * 3_600),
    ..Trust::default()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::from_bytes(bytes) {
        look_at(&certificate);
    }
    if let Some(certificate) = signed(bytes) {
        look_at(&certificate);
    }
});

fn look_at(certificate: &Certificate) {
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(NOW);
    drop(identity::facts_of(certificate));
    drop(portcullis::ca::show(certificate));
    match identity::check(certificate, &TRUST, source, now) {
        Ok(identity) => {
            let options = certificate.critical_options();
            let known = |name: &String| name == "force-command" || name == "source-address";
            assert!(options.keys().all(known), "{options:?}");
            assert_eq!(
                identity.restrictions().force_command.as_ref(),
                options.get("force-command")
            );
            assert_eq!(identity::recheck(&identity, &TRUST, now), Ok(()));
        }
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

/// Key id, principals, then options: a byte that names one, and its value, parted by 0xff.
fn signed(bytes: &[u8]) -> Option<Certificate> {
    let mut parts = bytes.split(|byte| *byte == 0xff);
    let mut text = || Some(std::str::from_utf8(parts.next()?).ok()?.to_owned());
    let key = CA.public_key().key_data().clone();
    let mut builder = Builder::new([1; 16], key, NOW - 60, NOW + 60).ok()?;
    builder.key_id(text()?).ok()?;
    builder.valid_principal(text()?).ok()?;
    while let Some(option) = text() {
        let first = *option.as_bytes().first()?;
        let value = option.get(1..)?;
        let name = NAMES[usize::from(first & 0x3f) % NAMES.len()];
        let added = match first & 0x40 {
            0 => builder.extension(name, value),
            _ => builder.critical_option(name, value),
        };
        added.ok()?;
    }
    builder.sign(&*CA).ok()
}
