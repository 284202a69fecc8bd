use crate::event::{Decision, Shown};
use crate::id::SessionId;
use std::fmt::Write;

/// A good person without a right. `Display` is the sentence for the person.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Denied {
    /// Nothing at all is allowed there, or it does not exist: answered alike.
    #[error("no target `{target}` that you may use")]
    Nowhere {
        target: String,
        decision: Box<Decision>,
    },
    /// Every action as that login is forbidden.
    #[error("you may not use `{target}` as `{login}`")]
    Login {
        target: String,
        login: String,
        decision: Box<Decision>,
    },
    #[error("`{action}` on `{target}` as `{login}` is not allowed for you")]
    Action {
        action: &'static str,
        target: String,
        login: String,
        decision: Box<Decision>,
    },
    /// `certificate`: it is that which does not permit it, whatever policy says.
    #[error("`{action}` to {place} through `{target}` as `{login}` is not allowed for you")]
    Forward {
        action: &'static str,
        place: String,
        target: String,
        login: String,
        certificate: bool,
        decision: Box<Decision>,
    },
    /// `justification.required`, and none was found.
    #[error("a reason is required")]
    NeedsReason,
    #[error("`{action}` is not allowed for you")]
    Verb {
        action: &'static str,
        decision: Box<Decision>,
    },
}

impl Denied {
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Nowhere { decision, .. }
            | Self::Login { decision, .. }
            | Self::Action { decision, .. }
            | Self::Forward { decision, .. }
            | Self::Verb { decision, .. } => Some(decision),
            Self::NeedsReason => None,
        }
    }

    /// What the person does next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nowhere { .. } => "`ssh BASTION` lists what you may reach",
            Self::Login { .. } => {
                "the login must be one of the target's and a principal of your certificate"
            }
            Self::Forward {
                certificate: true, ..
            } => "your certificate has no permit-port-forwarding: ask for one that has it",
            Self::Action { .. } | Self::Forward { .. } | Self::Verb { .. } => {
                "ask your operator; the reference tells them which policy"
            }
            Self::NeedsReason => {
                "add this line to your ssh_config, as its only SetEnv line:\n\
                 \x20   SetEnv PORTCULLIS_REASON=\"why\" PORTCULLIS_TICKET=INC-42\n\
                 or once: ssh -o 'SetEnv=PORTCULLIS_REASON=\"why\"' ...\n\
                 or for all sessions of this certificate: ssh BASTION why --for 4h --reason why"
            }
        }
    }

    /// The same for a channel open failure: `ssh` prints it on one line.
    pub fn in_one_line(&self, reference: SessionId) -> String {
        let hint = match self {
            // A forward reads no environment: only what is said beforehand counts.
            Self::NeedsReason => "say it first: ssh BASTION why --for 4h --reason why",
            Self::Nowhere { .. }
            | Self::Login { .. }
            | Self::Action { .. }
            | Self::Forward { .. }
            | Self::Verb { .. } => self.hint(),
        };
        format!(
            "portcullis: {}; {}; ref: {reference}",
            Shown(&self.to_string()),
            Shown(hint)
        )
    }

    /// Sentence, hint, reference: what the person reads.
    pub fn to_user(&self, reference: SessionId) -> String {
        let mut text = format!("portcullis: {}\n", Shown(&self.to_string()));
        for line in self.hint().lines() {
            // What is to be copied stands alone.
            let mark = if line.starts_with(' ') { "" } else { "hint: " };
            writeln!(text, "{mark}{line}").unwrap_or_default();
        }
        writeln!(text, "ref: {reference}").unwrap_or_default();
        text
    }
}
