//! What policy says of a person, action by action.

use super::{Caller, Denied, Desk, Door, Permit, Target, facts};
use crate::event::{Decision, Why};
use crate::id::Login;
use crate::identity::Identity;
use crate::policy::{Action, Context, Destination, Facts, Resource, Verdict};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

impl Desk {
    /// Does policy want a certificate inside the jump for something that it allows this person there?
    pub fn wants_certificate_inside(
        &self,
        who: &Arc<Identity>,
        target: &Target,
        login: &Login,
        source: IpAddr,
    ) -> bool {
        let why = self.said_by(who);
        let with = |certificate| {
            let door = Door::Jump { certificate };
            self.decisions(who, target, login, source, door, &why)
        };
        let without = with(false);
        with(true).into_iter().any(|(action, decision)| {
            let allowed = without.get(&action).is_some_and(|without| without.allowed);
            decision.allowed && !allowed
        })
    }

    /// The decision for one forward: policy sees where it goes. The certificate only narrows it.
    ///
    /// # Errors
    /// [`Denied::Forward`] with the decision that denies.
    pub fn may_forward(
        &self,
        permit: &Permit,
        action: Action,
        source: IpAddr,
        door: Door,
        destination: &Destination,
    ) -> Result<Decision, Denied> {
        let who = permit.who();
        let now = self.now_utc();
        let mut context = facts::context(who, source, door, permit.why(), now);
        context.destination = Some(destination.clone());
        let decision = self.decide_on(who, permit.target(), permit.login(), action, context);
        if decision.allowed {
            return Ok(decision);
        }
        Err(Denied::Forward {
            action: action.as_str(),
            place: destination.to_string(),
            target: permit.target().name.to_string(),
            login: permit.login().to_string(),
            certificate: !who.restrictions().port_forwarding,
            decision: Box::new(decision),
        })
    }

    pub(super) fn decisions(
        &self,
        who: &Arc<Identity>,
        target: &Target,
        login: &Login,
        source: IpAddr,
        door: Door,
        why: &Why,
    ) -> BTreeMap<Action, Decision> {
        let context = facts::context(who, source, door, why, self.now_utc());
        Action::ON_TARGETS
            .into_iter()
            .map(|action| {
                let decision = self.decide_on(who, target, login, action, context.clone());
                (action, decision)
            })
            .collect()
    }

    fn decide_on(
        &self,
        who: &Identity,
        target: &Target,
        login: &Login,
        action: Action,
        context: Context,
    ) -> Decision {
        let facts = Facts {
            principal: facts::principal(who),
            action,
            resource: Resource::Target {
                name: target.name.clone(),
                login: login.clone(),
                labels: target.labels.clone(),
                logins: facts::logins(target, who.subject()),
                listed: target.listed,
            },
            context,
        };
        let mut decision = decision(action, self.policy_set().decide(&facts));
        // The certificate only narrows what policy allows.
        let restrictions = who.restrictions();
        decision.allowed &= match action {
            Action::ForwardLocal | Action::ForwardRemote | Action::ForwardSsh => {
                restrictions.port_forwarding
            }
            Action::Agent => restrictions.agent_forwarding,
            Action::X11 => restrictions.x11_forwarding,
            Action::Shell
            | Action::Exec
            | Action::Sftp
            | Action::SftpRead
            | Action::SftpWrite
            | Action::View
            | Action::Replay
            | Action::Export
            | Action::Review
            | Action::End
            | Action::Use
            | Action::Report
            | Action::Revoke
            | Action::Administer => true,
        };
        decision.allowed &= who.may_log_in_as(login);
        decision
    }

    /// May this caller do that?
    ///
    /// # Errors
    /// [`Denied::Verb`] with the decision that denies.
    pub fn may(
        &self,
        caller: &Caller,
        action: Action,
        resource: Resource,
    ) -> Result<Decision, Denied> {
        let now = self.now_utc();
        let (principal, context) = match caller {
            Caller::Person { who, source } => {
                let context = facts::context(who, source.ip(), Door::Console, who.why(), now);
                (facts::principal(who), context)
            }
            Caller::Operator { user } => (facts::operator(user), facts::context_of_node(now)),
        };
        let facts = Facts {
            principal,
            action,
            resource,
            context,
        };
        let decision = decision(action, self.policy_set().decide(&facts));
        if decision.allowed {
            return Ok(decision);
        }
        Err(Denied::Verb {
            action: action.as_str(),
            decision: Box::new(decision),
        })
    }

    /// Listed targets and logins that this person may open anything on: the console's list.
    pub fn reachable(&self, who: &Arc<Identity>, source: IpAddr) -> Vec<(Arc<Target>, Vec<Login>)> {
        let why = self.said_by(who);
        self.targets()
            .listed()
            .iter()
            .map(|target| {
                let logins = self.logins_of(who, target, source, Door::Console, &why);
                (Arc::clone(target), logins)
            })
            .filter(|(_, logins)| !logins.is_empty())
            .collect()
    }

    fn logins_of(
        &self,
        who: &Arc<Identity>,
        target: &Target,
        source: IpAddr,
        door: Door,
        why: &Why,
    ) -> Vec<Login> {
        self.candidates(who, target)
            .filter(|login| {
                let decisions = self.decisions(who, target, login, source, door, why);
                decisions.values().any(|decision| decision.allowed)
            })
            .collect()
    }

    /// Logins that could be meant: the target's own and the certificate's principals.
    pub(super) fn candidates(
        &self,
        who: &Identity,
        target: &Target,
    ) -> impl Iterator<Item = Login> + use<> {
        let mut candidates = facts::logins(target, who.subject());
        candidates.extend(who.principals().iter().cloned());
        candidates.sort();
        candidates.dedup();
        candidates
            .into_iter()
            .filter_map(|login| login.parse().ok())
    }
}

fn decision(action: Action, verdict: Verdict) -> Decision {
    Decision {
        action: action.as_str().to_owned(),
        allowed: verdict.allowed,
        policies: verdict.policies,
        errors: verdict.errors,
    }
}
