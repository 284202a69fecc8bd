//! `policy explain`: the facts of a question that nobody has asked at the door.

use super::Targets;
use super::facts::logins;
use crate::id::{Login, Subject};
use crate::policy::{Action, Context, Facts, Principal, Resource};

/// Who would want to do what where.
#[derive(Clone, Debug)]
pub struct Question {
    pub identity: Subject,
    pub groups: Vec<String>,
    pub principals: Vec<String>,
    pub action: Action,
    pub target: Option<String>,
    pub login: Option<Login>,
    /// Whose session, and whether it was recorded under the certificate in use.
    pub owner: Option<Subject>,
    pub same_certificate: bool,
    pub context: Context,
}

impl Question {
    /// # Errors
    /// A sentence: what is missing in the question.
    pub fn facts(self, targets: &Targets) -> Result<Facts, String> {
        let action = self.action.as_str();
        let resource = if Action::ON_TARGETS.contains(&self.action) {
            let (Some(name), Some(login)) = (self.target, self.login) else {
                return Err(format!(
                    "`{action}` is done on a target: add --target and --login"
                ));
            };
            let target = targets.find(&name, None).ok_or_else(|| {
                format!("there is no target `{name}`, neither by name nor by match")
            })?;
            Resource::Target {
                name: target.name.clone(),
                login,
                labels: target.labels.clone(),
                logins: logins(&target, &self.identity),
                listed: target.listed,
            }
        } else if Action::ON_SESSIONS.contains(&self.action) {
            let Some(owner) = self.owner else {
                return Err(format!(
                    "`{action}` is done with somebody's session: add --owner"
                ));
            };
            Resource::Session {
                owner: Some(owner),
                same_certificate: self.same_certificate,
            }
        } else {
            Resource::Bastion
        };
        Ok(Facts {
            principal: Principal {
                name: self.identity.to_string(),
                groups: self.groups,
                principals: self.principals,
            },
            action: self.action,
            resource,
            context: self.context,
        })
    }
}
