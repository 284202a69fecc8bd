use super::target::Addresses;
use super::why::Said;
use super::{Denied, Permit, Target, Targets};
use crate::clock::Clock;
use crate::event::Why;
use crate::id::Login;
use crate::identity::Identity;
use crate::policy::PolicySet;
use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `certificate`: one was shown inside the jump, too.
    Jump {
        certificate: bool,
    },
    Name,
    Console,
}

impl Door {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jump { .. } => "jump",
            Self::Name => "name",
            Self::Console => "console",
        }
    }

    /// Was a certificate shown on the very connection that asks?
    pub(super) fn shows_certificate(self) -> bool {
        match self {
            Self::Jump { certificate } => certificate,
            Self::Name | Self::Console => true,
        }
    }
}

/// Everything [`Desk::admit`] needs to know.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub who: &'a Arc<Identity>,
    pub target: &'a Arc<Target>,
    pub login: &'a Login,
    pub source: IpAddr,
    pub door: Door,
    /// From the environment or the prompt of this session, if the client sent one.
    pub said: Option<Why>,
}

/// Who asks a verb: a checked certificate, or the account on the node (`os:USER`).
#[derive(Clone, Debug)]
pub enum Caller {
    Person {
        who: Arc<Identity>,
        source: SocketAddr,
    },
    Operator {
        user: String,
    },
}

/// `[justification]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub justification_required: bool,
}

/// The desk. Cloning shares it.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    policies: ArcSwap<PolicySet>,
    targets: ArcSwap<Targets>,
    /// What the names of listed targets lead to, as far as they could be looked up.
    addresses: ArcSwap<Addresses>,
    changes: watch::Sender<u64>,
    said: Said,
    clock: Clock,
}

impl Desk {
    pub fn new(config: Config, policies: PolicySet, targets: Targets, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                policies: ArcSwap::from_pointee(policies),
                targets: ArcSwap::from_pointee(targets),
                addresses: ArcSwap::default(),
                changes: watch::Sender::new(0),
                said: Said::default(),
                clock,
            }),
        }
    }

    /// Puts a new set in force, whole. Running sessions are asked again: [`Desk::changed`].
    pub fn set_policies(&self, policies: PolicySet) {
        self.inner.policies.store(Arc::new(policies));
        self.inner.changes.send_modify(|changes| *changes += 1);
    }

    pub fn set_targets(&self, targets: Targets) {
        let targets = targets.at(&self.inner.addresses.load());
        self.inner.targets.store(Arc::new(targets));
        self.inner.changes.send_modify(|changes| *changes += 1);
    }

    /// Where the names of listed targets lead now: other names for these addresses are no way around.
    pub fn note_addresses(&self, addresses: Addresses) {
        self.inner.targets.rcu(|targets| targets.at(&addresses));
        self.inner.addresses.store(Arc::new(addresses));
    }

    /// Counts changes of policies and targets.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    pub fn policy_set(&self) -> Arc<PolicySet> {
        self.inner.policies.load_full()
    }

    pub fn targets(&self) -> Arc<Targets> {
        self.inner.targets.load_full()
    }

    /// A target by name, if this person may do anything there.
    ///
    /// # Errors
    /// [`Denied::Nowhere`], alike for unknown and forbidden ones: the words, and the work.
    pub fn find(
        &self,
        who: &Arc<Identity>,
        asked: &str,
        port: Option<u16>,
        source: IpAddr,
        door: Door,
    ) -> Result<Arc<Target>, Denied> {
        let found = self.targets().find(asked, port);
        let why = self.said_by(who);
        let target = found.clone().unwrap_or_else(Targets::nowhere);
        let mut logins = self.candidates(who, &target);
        let mut denied = None;
        let usable = logins.any(|login| {
            let decisions = self.decisions(who, &target, &login, source, door, &why);
            let usable = decisions.values().any(|decision| decision.allowed);
            denied = denied.take().or_else(|| decisions.into_values().next());
            usable
        });
        match found {
            Some(target) if usable => Ok(target),
            found => Err(Denied::Nowhere {
                target: asked.to_owned(),
                // For the auditor only. Of a target that is not there nothing was decided.
                decision: Box::new(found.and(denied).unwrap_or_default()),
            }),
        }
    }

    /// The one maker of permits.
    ///
    /// # Errors
    /// [`Denied::Login`] when nothing is allowed as that login, [`Denied::NeedsReason`].
    pub fn admit(&self, ask: &Ask<'_>) -> Result<Permit, Denied> {
        let now = self.inner.clock.now();
        let why = self.inner.said.find(ask.who, ask.said.as_ref(), now);
        // The connection may have found its target long ago.
        let target = self.still_there(ask.target)?;
        self.permit(ask.who, &target, ask.login, ask.source, ask.door, why)
    }

    /// The target as it is configured now.
    fn still_there(&self, target: &Target) -> Result<Arc<Target>, Denied> {
        self.targets()
            .find(target.name.as_str(), None)
            .ok_or_else(|| Denied::Nowhere {
                target: target.name.to_string(),
                decision: Box::default(),
            })
    }

    /// The same permit under what is in force now, or with a newer certificate.
    ///
    /// # Errors
    /// As [`Desk::admit`]; a target that is no longer configured gives [`Denied::Nowhere`].
    pub fn readmit(
        &self,
        permit: &Permit,
        who: &Arc<Identity>,
        source: IpAddr,
        door: Door,
    ) -> Result<Permit, Denied> {
        let target = self.still_there(permit.target())?;
        let why = permit.why().as_ref().clone();
        let mut newer = self.permit(who, &target, permit.login(), source, door, why)?;
        // What is being done must still be allowed; that something else is, does not help.
        for action in permit.used() {
            newer.may(action)?;
        }
        newer.used = Arc::clone(&permit.used);
        Ok(newer)
    }

    pub(super) fn now_utc(&self) -> DateTime<Utc> {
        self.inner.clock.now_utc()
    }

    /// Why, before a session says more.
    pub(super) fn said_by(&self, who: &Identity) -> Why {
        self.inner.said.find(who, None, self.inner.clock.now())
    }

    fn permit(
        &self,
        who: &Arc<Identity>,
        target: &Arc<Target>,
        login: &Login,
        source: IpAddr,
        door: Door,
        why: Why,
    ) -> Result<Permit, Denied> {
        let actions = self.decisions(who, target, login, source, door, &why);
        let Some(denied) = actions.values().next().cloned() else {
            return Err(Denied::NeedsReason);
        };
        if !actions.values().any(|decision| decision.allowed) {
            return Err(Denied::Login {
                target: target.name.to_string(),
                login: login.to_string(),
                decision: Box::new(denied),
            });
        }
        let has_reason = why.justification.is_some() || why.grant.is_some();
        if self.inner.config.justification_required && !has_reason {
            return Err(Denied::NeedsReason);
        }
        Ok(Permit {
            target: Arc::clone(target),
            login: login.clone(),
            who: Arc::clone(who),
            why: Arc::new(why),
            actions,
            policy_set: self.policy_set().hash().to_owned(),
            used: Arc::default(),
        })
    }

    /// The verb `why`: reason and ticket for this certificate, until `until`.
    pub fn set_why(&self, who: &Identity, why: Why, until: SystemTime) -> bool {
        self.inner.said.set(who, why, until, self.inner.clock.now())
    }
}
