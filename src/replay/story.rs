//! What a session's events say, gathered into what an incident needs. Pure and bounded.

use super::line::{Line, What};
use super::listed::Listed;
use super::open::Step;
use super::ran::{self, Ran, Unseen};
use crate::event::{
    Audit, ChannelDetail, Decision, Kind, Outcome, SessionStart, TextOrBytes, Who, Why,
};
use crate::inspect::{agent, files, forwards};
use serde::Serialize;
use std::collections::BTreeMap;

/// Channels that are kept, and what was run on one.
const LISTED_MAX: usize = 200;

/// What the events of a session say, as far as the index does not.
#[derive(Debug, Default, Serialize)]
pub struct Story {
    pub who: Option<Who>,
    pub why: Option<Why>,
    pub address: Option<String>,
    /// Key id and host key at the target.
    pub target: Option<String>,
    pub client: Option<String>,
    pub channels: BTreeMap<u32, Channel>,
    /// What was typed or asked for as an exec.
    pub commands: Listed<Ran>,
    /// Where commands can be missing.
    pub blind: Listed<Unseen>,
    /// Lines that were typed and not shown, as a password is.
    pub secret_lines: u64,
    /// What was read, written and changed, by name.
    pub files: Listed,
    /// What went through to somewhere else.
    pub forwards: Listed,
    /// What a forwarded agent was used for.
    pub agent: Listed,
    pub refused: Listed,
    /// Alerts, errors, gaps, renewals.
    pub notable: Listed,
    pub damage: Listed,
    pub end_detail: Option<String>,
    /// Signatures that were asked for on a channel and not answered yet: one at a time.
    #[serde(skip)]
    asked: BTreeMap<u32, String>,
}

#[derive(Debug, Default, Serialize)]
pub struct Channel {
    /// `shell`, `exec ...`, `subsystem ...`.
    pub ran: Vec<String>,
    pub pty: Option<String>,
    pub close: Option<ChannelDetail>,
}

impl Story {
    pub fn tell(&mut self, step: &Step) {
        match step {
            Step::Damage(damage) => self.damage.add(damage.to_string()),
            Step::Line(line) => {
                if let What::Audit(audit) = &line.what {
                    let forward = forwards::told(&audit.kind);
                    match (files::told(&audit.kind), forward) {
                        (Some(told), _) => self.files.add(told),
                        (None, Some(told)) => {
                            if forwards::is_forced(&audit.kind) {
                                self.notable.add(format!("forward {told}"));
                            }
                            self.forwards.add(told);
                        }
                        (None, None) => self.happened(line, audit),
                    }
                }
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds are in `events`"
    )]
    fn happened(&mut self, line: &Line, audit: &Audit) {
        if is_reason(&audit.kind) {
            return;
        }
        if audit.outcome == Outcome::Denied {
            self.refused.add(refused(line, audit));
            return;
        }
        if let Some(told) = agent::told(&audit.kind) {
            self.agent_told(line, &audit.kind, told);
            return;
        }
        match &audit.kind {
            Kind::SessionStart(start) => self.started(start, audit),
            Kind::SessionEnd { detail, .. } => self.end_detail.clone_from(detail),
            Kind::SessionRenew { .. } => self
                .notable
                .add("renewed by a newer certificate".to_owned()),
            Kind::TargetAuth {
                method,
                host_key,
                key_id,
                ..
            } => {
                let key = key_id
                    .as_ref()
                    .map(|id| format!(", key id {id}"))
                    .unwrap_or_default();
                self.target = Some(format!(
                    "by {method}{key}; host key {} verified by {}",
                    host_key.fingerprint, host_key.verified_by
                ));
            }
            Kind::Pty(pty) => {
                let text = format!("{} {}x{}", pty.term, pty.cols, pty.rows);
                self.on(line, |channel| channel.pty = Some(text));
            }
            Kind::ChannelOpen { .. } => self.on(line, |_| {}),
            Kind::ChannelClose(detail) => {
                if let Some(status) = detail.exit_status {
                    ran::ended(&mut self.commands, line.channel, status);
                }
                self.on(line, |channel| channel.close = Some(detail.clone()));
            }
            Kind::Command(command) => self.commands.add(Ran::of(line, command)),
            Kind::CommandSecret(_) => self.secret_lines += 1,
            Kind::Blind(blind) => self.blind.add(Unseen::of(line, blind)),
            Kind::AgentAnswer(_) => self.agent_answered(line, &audit.kind),
            Kind::Shell { .. } => self.ran(line, "shell".to_owned()),
            Kind::Exec { command, .. } => self.ran(line, format!("exec {}", words(command))),
            Kind::Subsystem { name, .. } => self.ran(line, format!("subsystem {name}")),
            Kind::Env {
                name,
                accepted: false,
                ..
            } => self.refused.add(format!("env {name}")),
            Kind::TargetFail(note) => self.notable.add(format!("target: {}", note.message)),
            Kind::Alert { note, .. } => self.notable.add(format!("alert: {}", note.message)),
            Kind::Error(note) => self.notable.add(format!("error: {}", note.message)),
            Kind::Gap {
                bytes,
                events,
                message,
            } => {
                self.notable
                    .add(format!("gap: {bytes} bytes and {events} events: {message}"));
            }
            Kind::Clock { step_ms } => self.notable.add(format!("clock stepped by {step_ms} ms")),
            _ => {}
        }
    }

    fn started(&mut self, start: &SessionStart, audit: &Audit) {
        self.who = audit.who.as_deref().cloned();
        self.why = audit.why.as_deref().cloned();
        self.address = audit
            .place
            .as_deref()
            .and_then(|place| Some(format!("{}:{}", place.address.as_ref()?, place.port?)));
        self.client = Some(start.client_version.clone());
    }

    /// A signature is told with what came of it.
    fn agent_told(&mut self, line: &Line, kind: &Kind, told: String) {
        match (kind, line.channel) {
            (Kind::AgentSign(_), Some(channel)) if self.asked.len() < LISTED_MAX => {
                if let Some(before) = self.asked.insert(channel, told) {
                    self.agent.add(format!("{before}: no answer"));
                }
            }
            (Kind::AgentClose(_), _) => self.notable.add(format!("agent {told}")),
            _ => self.agent.add(told),
        }
    }

    fn agent_answered(&mut self, line: &Line, kind: &Kind) {
        if let Some(answer) = agent::answered(kind)
            && let Some(asked) = line.channel.and_then(|channel| self.asked.remove(&channel))
        {
            self.agent.add(format!("{asked}: {answer}"));
        }
    }

    /// No more events come.
    pub fn finish(mut self) -> Self {
        for asked in std::mem::take(&mut self.asked).into_values() {
            self.agent.add(format!("{asked}: no answer"));
        }
        self
    }

    fn on(&mut self, line: &Line, tell: impl FnOnce(&mut Channel)) {
        let known = self.channels.len() < LISTED_MAX;
        if let Some(number) = line.channel
            && (known || self.channels.contains_key(&number))
        {
            tell(self.channels.entry(number).or_default());
        }
    }

    fn ran(&mut self, line: &Line, what: String) {
        self.on(line, |channel| {
            if channel.ran.len() < LISTED_MAX {
                channel.ran.push(what);
            }
        });
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind that is not here says its name"
)]
fn refused(line: &Line, audit: &Audit) -> String {
    let by = |decision: &Decision| match decision.policies.is_empty() {
        true => "no policy allows it".to_owned(),
        false => format!("by {}", decision.policies.join(", ")),
    };
    match &audit.kind {
        Kind::Shell { decision } => format!("shell, {}", by(decision)),
        Kind::Exec { command, decision } => format!("exec {}, {}", words(command), by(decision)),
        Kind::Subsystem { name, decision } => format!("subsystem {name}, {}", by(decision)),
        Kind::AccessDeny { message, .. } => message.clone(),
        Kind::ForwardDeny(deny) => {
            let (what, by) = (forwards::refused(deny), by(&deny.decision));
            format!("forward {what}: {}, {by}", deny.message)
        }
        Kind::AgentForward { decision } => format!("agent, {}", by(decision)),
        Kind::AgentRefuse(refuse) => format!("agent {}", agent::request(refuse)),
        Kind::ChannelOpen { channel_type } => format!("channel {channel_type}"),
        Kind::Env { name, .. } => format!("env {name}"),
        _ => line.kind.clone(),
    }
}

/// How the person gives a reason or ticket: the bastion takes it, and it never goes on to the target.
fn is_reason(kind: &Kind) -> bool {
    matches!(kind, Kind::Env { name, .. }
        if matches!(name.as_str(), "PORTCULLIS_REASON" | "PORTCULLIS_TICKET"))
}

fn words(text: &TextOrBytes) -> String {
    match &text.data {
        Some(data) => format!("`{data}`"),
        None => format!("({} bytes that are no text)", text.n),
    }
}

#[cfg(test)]
#[path = "tests/story.rs"]
mod tests;
