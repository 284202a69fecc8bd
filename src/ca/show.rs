use crate::identity::{facts_of, shown};
use chrono::{DateTime, Utc};
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey};

/// What a certificate says, a line each, safe for a terminal. Nothing of it is checked.
pub fn show(certificate: &Certificate) -> Vec<String> {
    let facts = facts_of(certificate);
    let kind = if certificate.cert_type().is_user() {
        "user"
    } else {
        "host"
    };
    let mut lines = vec![
        format!(
            "type: {kind} certificate of a {} key",
            certificate.algorithm().as_str()
        ),
        format!("key id: {}", shown(&facts.key_id)),
        format!("serial: {}", facts.serial),
        format!("key: {}", facts.fingerprint),
        format!(
            "CA: {} (signed with {})",
            facts.ca,
            shown(certificate.signature().algorithm().as_str())
        ),
        format!("valid from: {}", time(certificate.valid_after())),
        format!("valid to: {}", time(certificate.valid_before())),
    ];
    let names = certificate
        .valid_principals()
        .iter()
        .map(|name| shown(name));
    let names: Vec<String> = names.collect();
    lines.push(if names.is_empty() {
        "principals: none".to_owned()
    } else {
        format!("principals: {}", names.join(", "))
    });
    for (name, value) in certificate.critical_options().iter() {
        lines.push(format!("critical option: {}", pair(name, value)));
    }
    for (name, value) in certificate.extensions().iter() {
        lines.push(format!("extension: {}", pair(name, value)));
    }
    lines
}

/// As `ssh-keygen -l` prints it.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn pair(name: &str, value: &str) -> String {
    if value.is_empty() {
        return shown(name);
    }
    format!("{} = {}", shown(name), shown(value))
}

/// RFC 3339, or `forever` for all bits set (PROTOCOL.certkeys).
fn time(second: u64) -> String {
    if second == u64::MAX {
        return "forever".to_owned();
    }
    let time = i64::try_from(second)
        .ok()
        .and_then(|second| DateTime::<Utc>::from_timestamp(second, 0));
    time.map_or_else(|| format!("second {second}"), |time| time.to_rfc3339())
}
