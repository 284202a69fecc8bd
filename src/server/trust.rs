//! User CAs, revocations and groups: loaded, looked at again, put in force.

use crate::ca;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::{Audit, Kind, Note, Outcome, Severity};
use crate::identity::{Authority, Revocations, Trust};
use crate::record::Recorder;
use russh::keys::ssh_key::{HashAlg, PublicKey};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Why what is on the disk cannot be put in force. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BadTrust {
    #[error("revocations: {0}")]
    Revocations(String),
    #[error("user CA: {0}")]
    Authority(ca::Error),
    #[error("groups: {0}")]
    Groups(String),
}

/// User CAs, revocations and groups, as the configuration names them.
///
/// # Errors
/// A file that cannot be read: without it nobody is trusted, or the wrong ones are.
pub fn load_trust(config: &Config) -> Result<Trust, BadTrust> {
    let mut authorities = Vec::new();
    for authority in &config.authorities {
        authorities.push(Authority {
            key: ca::load_public(&authority.file).map_err(BadTrust::Authority)?,
            identities: authority.identities.clone(),
            principals: authority.principals.clone(),
            believe: authority.believe.clone(),
        });
    }
    let revocations = load_revocations(config)?;
    let groups = match &config.groups {
        None => BTreeMap::new(),
        Some(file) => load_groups(file)?,
    };
    Ok(Trust {
        authorities,
        revocations,
        max_lifetime: config.max_lifetime,
        principals: config.principals,
        from_targets: config.from_targets,
        groups,
    })
}

fn load_revocations(config: &Config) -> Result<Revocations, BadTrust> {
    let mut revoked = Vec::new();
    for file in &config.revoked {
        let list = ca::load_krl(file).map_err(|e| BadTrust::Revocations(e.to_string()))?;
        revoked.push(list);
    }
    Ok(Revocations::of(revoked))
}

fn load_groups(file: &Path) -> Result<BTreeMap<String, Vec<String>>, BadTrust> {
    let bad = |problem: String| BadTrust::Groups(format!("`{}`: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    toml::from_str(&text).map_err(|error| bad(error.to_string()))
}

/// The public half of the CA that signs people, for verbs.
///
/// # Errors
/// When the file cannot be read.
pub fn public_key(file: &Path) -> anyhow::Result<PublicKey> {
    Ok(ca::load_public(file)?)
}

/// Puts what it is given in force, or says why not.
pub(super) struct Keeper {
    recorder: Recorder,
    clock: Clock,
    in_force: watch::Sender<Arc<Trust>>,
    logins_closed: Arc<AtomicBool>,
    trouble: Option<Trouble>,
}

/// What is on the disk is not in force.
struct Trouble {
    /// Monotonic.
    since: Duration,
    /// Told after the second look: a file that is being written is whole a moment later.
    told: Option<String>,
}

impl Keeper {
    /// At start: nothing is in force yet, and without all of it nobody is served.
    pub(super) async fn open(
        config: &Config,
        recorder: &Recorder,
        clock: &Clock,
    ) -> anyhow::Result<(Self, watch::Receiver<Arc<Trust>>)> {
        let trust = load(config).await?;
        let (in_force, trusted) = watch::channel(Arc::new(Trust::default()));
        let mut keeper = Self {
            recorder: recorder.clone(),
            clock: clock.clone(),
            in_force,
            logins_closed: Arc::new(AtomicBool::new(false)),
            trouble: None,
        };
        keeper.put_in_force(trust).await;
        Ok((keeper, trusted))
    }

    /// Set while revocations are out of date for too long: nobody new comes in.
    pub(super) fn logins_closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.logins_closed)
    }

    /// Something is wrong with what is on the disk: look again, even if nothing changes there.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Older revocations are refused, unreadable ones leave the old in force, for a while.
    pub(super) async fn reload(&mut self, config: &Config) {
        let loaded = load(config).await.and_then(|trust| self.not_older(trust));
        match loaded {
            Ok(trust) => {
                if self
                    .trouble
                    .take()
                    .is_some_and(|trouble| trouble.told.is_some())
                {
                    tracing::info!("user CAs and revocations can be read again");
                }
                self.logins_closed.store(false, Ordering::SeqCst);
                self.put_in_force(trust).await;
            }
            Err(bad) => {
                self.revoke_all_the_same(&bad, config).await;
                self.note_trouble(&bad, config.revoked_grace).await;
            }
        }
    }

    /// Whatever else is wrong on the disk, who is revoked is revoked.
    async fn revoke_all_the_same(&mut self, bad: &BadTrust, config: &Config) {
        if matches!(bad, BadTrust::Revocations(_)) {
            return;
        }
        let mut trust = Trust::clone(&self.in_force.borrow());
        let files = config.clone();
        let revocations = tokio::task::spawn_blocking(move || load_revocations(&files)).await;
        if let Ok(Ok(revocations)) = revocations {
            trust.revocations = revocations;
            if let Ok(trust) = self.not_older(trust) {
                self.put_in_force(trust).await;
            }
        }
    }

    pub(super) fn not_older(&self, trust: Trust) -> Result<Trust, BadTrust> {
        let mut checked = self.in_force.borrow().revocations.clone();
        for file in trust.revocations.files() {
            checked = checked.replace(file.clone()).map_err(|bad| {
                BadTrust::Revocations(format!("cannot use the list `{}`: {bad}", file.name()))
            })?;
        }
        Ok(trust)
    }

    pub(super) async fn put_in_force(&mut self, trust: Trust) {
        let before = Arc::clone(&self.in_force.borrow());
        // First the doors, then the book: nobody waits for a disk to be locked out.
        self.in_force.send_replace(Arc::new(trust));
        let after = Arc::clone(&self.in_force.borrow());
        let known: BTreeMap<_, _> = before
            .revocations
            .files()
            .map(|file| (file.name(), file.sha256()))
            .collect();
        for file in after.revocations.files() {
            if known.get(file.name()) == Some(&file.sha256()) {
                continue;
            }
            let kind = Kind::KrlLoad {
                file: file.name().to_owned(),
                number: file.number(),
                entries: file.entries(),
                sha256: file.sha256().to_owned(),
            };
            self.append(kind, Outcome::Success).await;
        }
        if let Some(difference) = difference(&before, &after) {
            tracing::info!("{difference}");
            let kind = Kind::ConfigChange {
                actor: "file".to_owned(),
                difference,
                sha256: hash_of(&after),
            };
            self.append(kind, Outcome::Success).await;
        }
    }

    async fn note_trouble(&mut self, bad: &BadTrust, grace: Duration) {
        let now = self.clock.monotonic();
        let problem = bad.to_string();
        let Some(trouble) = &mut self.trouble else {
            self.trouble = Some(Trouble {
                since: now,
                told: None,
            });
            return;
        };
        let since = trouble.since;
        if trouble.told.as_ref() != Some(&problem) {
            trouble.told = Some(problem.clone());
            let message = format!("what was in force stays in force: {problem}");
            self.alert("trust_not_loaded", message).await;
        }
        let out_of_date = matches!(bad, BadTrust::Revocations(_));
        if out_of_date
            && now.saturating_sub(since) >= grace
            && !self.logins_closed.swap(true, Ordering::SeqCst)
        {
            let message = format!(
                "nobody new comes in, because revocations are out of date for {}: {problem}",
                humantime::format_duration(grace)
            );
            self.alert("logins_closed", message).await;
        }
    }

    async fn alert(&self, code: &str, message: String) {
        tracing::error!("{message}");
        let note = Note {
            code: code.to_owned(),
            message,
            reference: None,
            certificate: None,
            keys: Vec::new(),
        };
        let severity = Severity::High;
        self.append(Kind::Alert { severity, note }, Outcome::Failure)
            .await;
    }

    async fn append(&self, kind: Kind, outcome: Outcome) {
        let event = Audit::of_node(kind, outcome);
        if let Err(error) = self.recorder.append_node(event).await {
            tracing::error!(%error, "a change of user CAs or revocations could not be recorded");
        }
    }
}

/// Reads files: not on a thread of the runtime.
async fn load(config: &Config) -> Result<Trust, BadTrust> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || load_trust(&config))
        .await
        .map_err(|error| BadTrust::Revocations(error.to_string()))?
}

fn fingerprints(trust: &Trust) -> BTreeSet<String> {
    trust
        .authorities
        .iter()
        .map(|authority| authority.key.fingerprint(HashAlg::Sha256).to_string())
        .collect()
}

/// What the keys and groups of two trusts differ in. Nothing at start, when nothing was in force.
fn difference(before: &Trust, after: &Trust) -> Option<String> {
    let (old, new) = (fingerprints(before), fingerprints(after));
    if old.is_empty() || (old == new && before.groups == after.groups) {
        return None;
    }
    let mut parts: Vec<String> = new
        .difference(&old)
        .map(|key| format!("user CA {key} is trusted now"))
        .chain(
            old.difference(&new)
                .map(|key| format!("user CA {key} is not trusted any more")),
        )
        .collect();
    if before.groups != after.groups {
        parts.push("the groups have changed".to_owned());
    }
    Some(parts.join("; "))
}

/// Of the CAs' keys and the groups, as they are in force.
fn hash_of(trust: &Trust) -> String {
    let text = format!("{:?}{:?}", fingerprints(trust), trust.groups);
    hex::encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}
