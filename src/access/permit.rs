use super::{Denied, Target};
use crate::event::{Decision, Why};
use crate::id::Login;
use crate::identity::Identity;
use crate::policy::Action;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Leave to open one session to one target. Dialling and relaying both demand it. One maker:
/// [`super::Desk::admit`].
#[derive(Clone, Debug)]
pub struct Permit {
    pub(super) target: Arc<Target>,
    pub(super) login: Login,
    pub(super) who: Arc<Identity>,
    pub(super) why: Arc<Why>,
    pub(super) actions: BTreeMap<Action, Decision>,
    pub(super) policy_set: String,
    /// What has been done under it; shared with the permits that replace it.
    pub(super) used: Arc<Mutex<BTreeSet<Action>>>,
}

impl Permit {
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub fn login(&self) -> &Login {
        &self.login
    }

    pub fn who(&self) -> &Arc<Identity> {
        &self.who
    }

    pub fn why(&self) -> &Arc<Why> {
        &self.why
    }

    /// When it ends unless renewed.
    pub fn until(&self) -> SystemTime {
        self.who.valid_before()
    }

    pub fn policy_set(&self) -> &str {
        &self.policy_set
    }

    /// The decision for an action that is about to be done: if it is no longer allowed later, the
    /// session ends ([`super::Desk::readmit`]).
    ///
    /// # Errors
    /// As [`Permit::may`].
    pub fn use_for(&self, action: Action) -> Result<&Decision, Denied> {
        let decision = self.may(action)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(action);
        Ok(decision)
    }

    pub(super) fn used(&self) -> BTreeSet<Action> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.clone()
    }

    /// The decision for one action on this target as this login.
    ///
    /// # Errors
    /// [`Denied::Action`] with the decision that denies.
    pub fn may(&self, action: Action) -> Result<&Decision, Denied> {
        match self.actions.get(&action) {
            Some(decision) if decision.allowed => Ok(decision),
            decision => Err(Denied::Action {
                action: action.as_str(),
                target: self.target.name.to_string(),
                login: self.login.to_string(),
                decision: Box::new(decision.cloned().unwrap_or_default()),
            }),
        }
    }
}
