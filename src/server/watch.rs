//! Reloads what changed on disk, whole or not at all.

use super::Parts;
use super::reload::Refused;
use super::stamp::{Seen, Stamps};
use super::trust::Keeper;
use crate::clock::Steps;
use crate::config::Config;
use crate::event::{Audit, Kind, Outcome};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Who brought in what is in force from the beginning.
const START: &str = "start";
/// A change of a watched file is in force within a second.
const WATCH_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Watcher {
    pub(super) parts: Parts,
    pub(super) trust: Keeper,
    pub(super) config: Config,
    pub(super) refused: Refused,
}

impl Watcher {
    pub(super) fn new(parts: &Parts, trust: Keeper) -> Self {
        Self {
            parts: parts.clone(),
            trust,
            config: parts.config.as_ref().clone(),
            refused: Refused::default(),
        }
    }

    /// Acts on what looks alike twice: a file that is still being written is left until it is whole.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut seen = Seen::from(Stamps::look(&self.config));
        // What was edited between start and now is not missed: unchanged texts are no change.
        let mut first = true;
        let mut steps = Steps::from(&self.parts.clock);
        self.tell_start().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCH_EVERY) => {}
            }
            if let Some(step_ms) = steps.look(&self.parts.clock) {
                tracing::warn!(step_ms, "the clock of this machine was set");
                self.append(Kind::Clock { step_ms }, Outcome::Success).await;
            }
            let changed = seen.look(Stamps::look(&self.config));
            // What was refused may lack a file that is not watched: it is tried again.
            if first || changed.config || self.refused.config.is_some() {
                self.reload_config().await;
            }
            if first || changed.policies || self.refused.policies.is_some() {
                self.reload_policies().await;
            }
            if first || changed.trust || self.trust.is_in_trouble() {
                self.trust.reload(&self.config).await;
            }
            first = false;
        }
    }

    /// What a change is a change of.
    async fn tell_start(&self) {
        let difference = "in force at start";
        self.note_config(START, difference.to_owned(), Outcome::Success)
            .await;
        self.note_policies(START, difference.to_owned(), Outcome::Success)
            .await;
    }

    pub(super) async fn append(&self, kind: Kind, outcome: Outcome) {
        let event = Audit::of_node(kind, outcome);
        if let Err(error) = self.parts.recorder.append_node(event).await {
            tracing::error!(%error, "a change could not be recorded");
        }
    }
}
