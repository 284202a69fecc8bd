//! Configuration and policies, read again: whole or not at all, and told either way.

use super::parts::targets;
use super::trust::load_trust;
use super::watch::Watcher;
use crate::access::{self, Targets};
use crate::config::Config;
use crate::event::{Kind, Outcome};
use crate::identity::Trust;
use std::path::Path;

/// Whoever can write the files.
const ACTOR: &str = "file";

/// What was refused last, so that one fault is told once.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) config: Option<String>,
    pub(super) policies: Option<String>,
}

type Loaded = Result<(Trust, Targets, Config), String>;

fn load(file: &Path) -> Loaded {
    let config = Config::load(file).map_err(|faults| faults.to_string())?;
    let targets = targets(&config).map_err(|faults| faults.join("\n"))?;
    let trust = load_trust(&config).map_err(|bad| bad.to_string())?;
    Ok((trust, targets, config))
}

/// Reads files and validates policies: not on a thread of the runtime. `None` if that failed as a
/// whole; it is tried again.
async fn off_the_runtime<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let read = tokio::task::spawn_blocking(read).await;
    read.inspect_err(|error| tracing::error!(%error, "reading the configuration again failed"))
        .ok()
}

impl Watcher {
    pub(super) async fn reload_policies(&mut self) {
        let desk = &self.parts.desk;
        let old = desk.policy_set();
        let dir = self.config.policies.clone();
        let Some(loaded) = off_the_runtime(move || access::load_policies(&dir)).await else {
            return;
        };
        match loaded {
            Ok(policies) => {
                self.refused.policies = None;
                if policies.hash() == old.hash() {
                    return;
                }
                let mut difference = policies.difference(&old);
                if difference.is_empty() {
                    difference.push("comments only".to_owned());
                }
                desk.set_policies(policies);
                tracing::info!(difference = difference.join("; "), "policies in force");
                self.note_policies(ACTOR, difference.join("\n"), Outcome::Success)
                    .await;
            }
            Err(faults) => {
                let dir = self.config.policies.display();
                let lines: Vec<_> = faults.iter().map(|f| format!("{dir}/{f}")).collect();
                let text = lines.join("\n");
                if self.refused.policies.as_ref() == Some(&text) {
                    return;
                }
                for line in &lines {
                    tracing::error!("the old policies stay: {line}");
                }
                self.refused.policies = Some(text.clone());
                self.note_policies(
                    ACTOR,
                    format!("the old policies stay\n{text}"),
                    Outcome::Failure,
                )
                .await;
            }
        }
    }

    pub(super) async fn note_policies(&self, actor: &str, difference: String, outcome: Outcome) {
        let kind = Kind::PolicyChange {
            actor: actor.to_owned(),
            difference,
            sha256: self.parts.desk.policy_set().hash().to_owned(),
        };
        self.append(kind, outcome).await;
    }

    /// Targets, user CAs and what they are believed for change without a restart; listening,
    /// signing keys and limits do not, and the event says which.
    pub(super) async fn reload_config(&mut self) {
        let file = self.config.file.clone();
        let Some(loaded) = off_the_runtime(move || load(&file)).await else {
            return;
        };
        let loaded = loaded.and_then(|(trust, targets, config)| {
            let trust = self.trust.not_older(trust).map_err(|bad| bad.to_string())?;
            Ok((trust, targets, config))
        });
        match loaded {
            Ok((trust, targets, config)) => {
                self.refused.config = None;
                if config.hash == self.config.hash {
                    return;
                }
                let mut difference = config.difference(&self.config);
                if difference.is_empty() {
                    difference.push("comments only".to_owned());
                }
                self.parts.desk.set_targets(targets);
                self.trust.put_in_force(trust).await;
                self.config = config;
                tracing::info!(difference = difference.join("; "), "configuration in force");
                self.note_config(ACTOR, difference.join("\n"), Outcome::Success)
                    .await;
            }
            Err(faults) => {
                if self.refused.config.as_ref() == Some(&faults) {
                    return;
                }
                for line in faults.lines() {
                    tracing::error!("the old configuration stays: {line}");
                }
                self.refused.config = Some(faults.clone());
                let text = format!("the old configuration stays\n{faults}");
                self.note_config(ACTOR, text, Outcome::Failure).await;
            }
        }
    }

    pub(super) async fn note_config(&self, actor: &str, difference: String, outcome: Outcome) {
        let kind = Kind::ConfigChange {
            actor: actor.to_owned(),
            difference,
            sha256: self.config.hash.clone(),
        };
        self.append(kind, outcome).await;
    }
}
