//! Examples kept beside the policies: who wants what, and what the answer must be.

use super::{Action, Context, Destination, Facts, Fault, PolicySet, Principal, Resource};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// One question with its right answer.
#[derive(Clone, Debug)]
pub struct Example {
    pub file: String,
    pub line: usize,
    /// What it stands for, in words.
    pub says: String,
    facts: Facts,
    allow: bool,
    by: Option<Vec<String>>,
}

/// An example that the policies do not answer as it wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: `{says}`: {problem}")]
pub struct Failed {
    pub file: String,
    pub line: usize,
    pub says: String,
    pub problem: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    example: Vec<Spanned<Raw>>,
}

/// As written. What is left out is empty, false or unknown, as it would be for a policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    says: String,
    expect: Expect,
    by: Option<Vec<String>>,
    identity: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    principals: Vec<String>,
    action: String,
    target: Option<String>,
    login: Option<String>,
    #[serde(default)]
    logins: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default = "yes")]
    listed: bool,
    owner: Option<String>,
    #[serde(default)]
    same_certificate: bool,
    source: Option<std::net::IpAddr>,
    /// RFC 3339; a Monday morning where it does not matter.
    at: Option<DateTime<Utc>>,
    #[serde(default)]
    ticket: bool,
    why_source: Option<String>,
    #[serde(default)]
    certificate_age: Option<String>,
    door: Option<String>,
    #[serde(default)]
    certificate_inside: bool,
    host: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

fn yes() -> bool {
    true
}

/// 2026-03-02 09:00 UTC.
const MONDAY_UNIX_S: i64 = 1_772_442_000;

impl Example {
    /// All examples of a text.
    ///
    /// # Errors
    /// What is wrong with it, with file and line.
    pub fn parse(file: &str, text: &str) -> Result<Vec<Self>, Vec<Fault>> {
        let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let fault = |at: usize, message: String| Fault {
            file: file.to_owned(),
            line: line(at),
            message,
        };
        let parsed: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![fault(at, error.message().to_owned())]
        })?;
        let (mut examples, mut faults) = (Vec::new(), Vec::new());
        for raw in parsed.example {
            let at = raw.span().start;
            let raw = raw.into_inner();
            let (says, by) = (raw.says.clone(), raw.by.clone());
            let allow = raw.expect == Expect::Allow;
            match raw.facts() {
                Ok(facts) => examples.push(Self {
                    file: file.to_owned(),
                    line: line(at),
                    says,
                    facts,
                    allow,
                    by,
                }),
                Err(message) => faults.push(fault(at, format!("`{says}`: {message}"))),
            }
        }
        if faults.is_empty() {
            Ok(examples)
        } else {
            Err(faults)
        }
    }

    /// # Errors
    /// How the answer differs.
    pub fn check(&self, policies: &PolicySet) -> Result<(), Failed> {
        let verdict = policies.decide(&self.facts);
        let failed = |problem: String| {
            Err(Failed {
                file: self.file.clone(),
                line: self.line,
                says: self.says.clone(),
                problem,
            })
        };
        let word = |allowed| if allowed { "allowed" } else { "denied" };
        let deciding = match verdict.policies.as_slice() {
            [] => "no policy".to_owned(),
            ids => format!("`{}`", ids.join("`, `")),
        };
        if !verdict.errors.is_empty() {
            return failed(format!("a policy fails: {}", verdict.errors.join("; ")));
        }
        if verdict.allowed != self.allow {
            return failed(format!(
                "must be {}, is {} by {deciding}",
                word(self.allow),
                word(verdict.allowed)
            ));
        }
        let Some(by) = &self.by else { return Ok(()) };
        let ids = verdict.policies.iter();
        let named = |id: &String| {
            by.iter()
                .any(|by| id == by || id.ends_with(&format!("#{by}")))
        };
        if by.len() == verdict.policies.len() && ids.clone().all(named) {
            return Ok(());
        }
        failed(format!(
            "must be {} by {}, is by {deciding}",
            word(self.allow),
            match by.as_slice() {
                [] => "no policy".to_owned(),
                by => format!("`{}`", by.join("`, `")),
            }
        ))
    }
}

fn forward(action: Action, host: &str, port: u16) -> Result<Destination, String> {
    Destination::of(action, host, port.into())
        .map_err(|bad| format!("`host` and `port` are no place: {bad}"))
}

impl Raw {
    fn facts(self) -> Result<Facts, String> {
        let action: Action = self.action.parse()?;
        let resource = self.resource(action)?;
        let age = self.certificate_age.as_deref();
        let age = age.map(humantime::parse_duration).transpose();
        let age = age.map_err(|_| "`certificate_age` is a time as \"10m\"".to_owned())?;
        let monday = DateTime::from_timestamp(MONDAY_UNIX_S, 0).unwrap_or_default();
        let destination = match (self.host, self.port, self.socket) {
            (None, None, None) => None,
            (Some(host), Some(port), None) => Some(forward(action, &host, port)?),
            (None, None, Some(path)) => Some(
                Destination::socket(&path)
                    .map_err(|bad| format!("`socket` is no socket: {bad}"))?,
            ),
            _ => return Err("a forward has `host` and `port`, or `socket`".to_owned()),
        };
        Ok(Facts {
            principal: Principal {
                name: self.identity,
                groups: self.groups,
                principals: self.principals,
            },
            action,
            resource,
            context: Context {
                source_ip: self.source,
                ticket: self.ticket,
                why_source: self.why_source,
                certificate_age_s: age
                    .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
                destination,
                certificate_inside: self.certificate_inside,
                ..Context::at(
                    self.at.unwrap_or(monday),
                    self.door.as_deref().unwrap_or("jump"),
                )
            },
        })
    }

    fn resource(&self, action: Action) -> Result<Resource, String> {
        if Action::ON_TARGETS.contains(&action) {
            let (Some(target), Some(login)) = (&self.target, &self.login) else {
                let action = action.as_str();
                return Err(format!("`{action}` needs a `target` and a `login`"));
            };
            let bad = |what: &str, text: &str, why: String| format!("`{text}` is no {what}: {why}");
            return Ok(Resource::Target {
                name: target
                    .parse()
                    .map_err(|e: crate::id::BadName| bad("target", target, e.to_string()))?,
                login: login
                    .parse()
                    .map_err(|e: crate::id::BadName| bad("login", login, e.to_string()))?,
                labels: self.labels.clone(),
                logins: self.logins.clone(),
                listed: self.listed,
            });
        }
        if Action::ON_SESSIONS.contains(&action) {
            let owner = self.owner.as_ref().map(|owner| owner.parse()).transpose();
            return Ok(Resource::Session {
                owner: owner.map_err(|bad| format!("`owner` is no identity: {bad}"))?,
                same_certificate: self.same_certificate,
            });
        }
        Ok(Resource::Bastion)
    }
}
