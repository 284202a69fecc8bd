use super::draft::{Draft, random, seconds};
use super::{Error, Signer, file};
use crate::id::{Login, SessionId, Subject, TargetName, Ticket};
use crate::identity::{GROUPS, REASON, TICKET, shown, usable_key};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Certificate, PrivateKey, PublicKey};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Time to dial a target and log in; nobody can use a stolen one for longer.
const SESSION_LIFETIME: Duration = Duration::from_secs(2 * 60);
/// What a target's clock may be behind ours.
const SESSION_LEEWAY: Duration = Duration::from_secs(60);
/// From start to end, the leeway within it.
const HOST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// What a user's clock may be behind ours.
const LEEWAY: Duration = Duration::from_secs(5 * 60);
/// As `identity` reads them.
const REASON_BYTES_MAX: usize = 4 * 1024;

/// What a per-session target certificate says.
#[derive(Clone, Debug)]
pub struct SessionCertificate<'a> {
    pub subject: &'a Subject,
    pub session: SessionId,
    pub ticket: Option<&'a Ticket>,
    pub login: &'a Login,
    /// `source-address` critical option; empty writes none.
    pub source: Vec<IpAddr>,
    /// Only what the session needs.
    pub pty: bool,
    pub port_forwarding: bool,
    pub agent_forwarding: bool,
    pub now: SystemTime,
}

/// A fresh Ed25519 key and its certificate: valid 2 minutes (and 1 minute back for clock skew), key
/// id `portcullis:IDENTITY:SESSION:TICKET`, principal = login.
pub async fn issue_session(
    target_ca: &Signer,
    wanted: SessionCertificate<'_>,
) -> Result<(Arc<PrivateKey>, Certificate), Error> {
    let key = file::new_key("")?;
    let now = seconds(wanted.now)?;
    let ticket = wanted.ticket.map_or("", Ticket::as_str);
    let addresses: Vec<String> = wanted
        .source
        .iter()
        .map(|address| address.to_canonical().to_string())
        .collect();
    let mut options = Vec::new();
    if !addresses.is_empty() {
        options.push(("source-address", addresses.join(",")));
    }
    let mut extensions = Vec::new();
    if wanted.pty {
        extensions.push(("permit-pty", String::new()));
    }
    if wanted.agent_forwarding {
        extensions.push(("permit-agent-forwarding", String::new()));
    }
    if wanted.port_forwarding {
        extensions.push(("permit-port-forwarding", String::new()));
    }
    // In the order of their names (PROTOCOL.certkeys).
    extensions.sort();
    let draft = Draft {
        key: key.public_key().key_data().clone(),
        kind: CertType::User,
        serial: random_serial()?,
        key_id: format!("portcullis:{}:{}:{ticket}", wanted.subject, wanted.session),
        principals: vec![wanted.login.to_string()],
        valid_after: now.saturating_sub(SESSION_LEEWAY.as_secs()),
        valid_before: now.saturating_add(SESSION_LIFETIME.as_secs()),
        options,
        extensions,
        comment: String::new(),
        nonce: random()?,
    };
    let certificate = target_ca.sign(&draft).await?;
    Ok((Arc::new(key), certificate))
}

/// A host certificate for exactly one name, at most a day.
pub async fn issue_host(
    host_ca: &Signer,
    host_key: &PublicKey,
    name: &str,
    now: SystemTime,
) -> Result<Certificate, Error> {
    // A client takes `*` and `?` in a host certificate as patterns (ssh, `match_pattern`), so only
    // what is a name, in its canonical form, is written.
    let canonical = name.parse::<TargetName>();
    if !canonical.is_ok_and(|canonical| canonical.as_str() == name) {
        return Err(Error::Sign(
            "a host certificate is for one canonical host name or address".to_owned(),
        ));
    }
    let valid_after = seconds(now)?.saturating_sub(LEEWAY.as_secs());
    let draft = Draft {
        key: certified(host_key)?,
        kind: CertType::Host,
        serial: random_serial()?,
        key_id: format!("portcullis:host:{name}"),
        principals: vec![name.to_owned()],
        valid_after,
        valid_before: valid_after.saturating_add(HOST_LIFETIME.as_secs()),
        options: Vec::new(),
        extensions: Vec::new(),
        comment: String::new(),
        nonce: random()?,
    };
    host_ca.sign(&draft).await
}

/// What `ca issue` writes.
#[derive(Clone, Debug)]
pub struct UserCertificate<'a> {
    pub subject: &'a Subject,
    pub principals: &'a [String],
    pub reason: Option<&'a str>,
    pub ticket: Option<&'a Ticket>,
    pub groups: &'a [String],
    pub lifetime: Duration,
    pub serial: u64,
    pub now: SystemTime,
}

/// With the extensions that `ssh-keygen -s` gives, because what a person may do is policy's to say.
/// Valid from 5 minutes ago (clock skew) to `now + lifetime`.
pub async fn issue_user(
    user_ca: &Signer,
    key: &PublicKey,
    wanted: UserCertificate<'_>,
) -> Result<Certificate, Error> {
    let now = seconds(wanted.now)?;
    let lifetime_s = wanted.lifetime.as_secs();
    // The largest value means "forever" (PROTOCOL.certkeys), which nobody can ask for here.
    let valid_before = now.saturating_add(lifetime_s);
    if lifetime_s == 0 || valid_before == u64::MAX {
        return Err(Error::Sign(
            "a certificate is valid for a second at least, and not for ever".to_owned(),
        ));
    }
    let draft = Draft {
        key: certified(key)?,
        kind: CertType::User,
        serial: wanted.serial,
        key_id: wanted.subject.to_string(),
        principals: checked_principals(wanted.principals)?,
        valid_after: now.saturating_sub(LEEWAY.as_secs()),
        valid_before,
        options: Vec::new(),
        extensions: extensions_of(&wanted)?,
        comment: key.comment().as_str_lossy().to_owned(),
        nonce: random()?,
    };
    user_ca.sign(&draft).await
}

/// Never 0, which names no certificate; 53 bits, because readers of JSON that keep numbers as doubles
/// (jq 1.6) would tell another serial, and nobody is revoked by that.
pub fn random_serial() -> Result<u64, Error> {
    Ok((u64::from_be_bytes(random()?) >> 11).max(1))
}

fn certified(key: &PublicKey) -> Result<KeyData, Error> {
    usable_key(key.key_data()).map_err(|refusal| Error::Sign(refusal.to_string()))?;
    Ok(key.key_data().clone())
}

fn checked_principals(principals: &[String]) -> Result<Vec<String>, Error> {
    let is_name = |name: &&String| name.parse::<Login>().is_ok() || name.parse::<Subject>().is_ok();
    match principals.iter().find(|name| !is_name(name)) {
        Some(bad) => Err(Error::Sign(format!(
            "`{}` is neither a login nor an identity",
            shown(bad)
        ))),
        None => Ok(principals.to_vec()),
    }
}

fn extensions_of(wanted: &UserCertificate<'_>) -> Result<Vec<(&'static str, String)>, Error> {
    let flags = [
        "permit-X11-forwarding",
        "permit-agent-forwarding",
        "permit-port-forwarding",
        "permit-pty",
        "permit-user-rc",
    ];
    let mut extensions: Vec<_> = flags.map(|flag| (flag, String::new())).into();
    if let Some(reason) = wanted.reason {
        if reason.len() > REASON_BYTES_MAX {
            return Err(Error::Sign("the reason is longer than 4 KiB".to_owned()));
        }
        extensions.push((REASON, reason.to_owned()));
    }
    if let Some(ticket) = wanted.ticket {
        extensions.push((TICKET, ticket.to_string()));
    }
    if wanted
        .groups
        .iter()
        .any(|group| group.contains(',') || group.chars().any(char::is_control))
    {
        return Err(Error::Sign(
            "a group has a comma or a control character".to_owned(),
        ));
    }
    if !wanted.groups.is_empty() {
        extensions.push((GROUPS, wanted.groups.join(",")));
    }
    Ok(extensions)
}
