//! The file as written: names and shapes only. Nothing is demanded here, so that one missing thing
//! does not hide the next fault.

use super::page::Loose;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

pub(super) type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) include: Vec<Text>,
    pub(super) listen: Listen,
    pub(super) identity: Identity,
    pub(super) ca: Ca,
    pub(super) state: State,
    pub(super) policies: Policies,
    pub(super) justification: Justification,
    pub(super) recording: Recording,
    pub(super) index: Index,
    pub(super) notice: Notice,
    pub(super) limits: Limits,
    pub(super) session: Session,
    pub(super) target: Vec<Spanned<Target>>,
}

/// An included file holds targets and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Included {
    pub(super) target: Vec<Spanned<Target>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) ssh: Option<Loose>,
    pub(super) host_key: Option<Text>,
    pub(super) names: Vec<String>,
    pub(super) node: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) principals: Principals,
    pub(super) from_targets: FromTargets,
    pub(super) revoked: Vec<Text>,
    pub(super) revoked_grace: Option<Loose>,
    pub(super) max_lifetime: Option<Loose>,
    pub(super) groups: Option<Text>,
    pub(super) ca: Vec<Spanned<Authority>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Principals {
    #[default]
    Login,
    Identity,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FromTargets {
    #[default]
    Refuse,
    Allow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Authority {
    pub(super) file: Option<Text>,
    pub(super) identities: Option<Loose>,
    pub(super) principals: Vec<String>,
    pub(super) believe: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ca {
    pub(super) user: Option<Text>,
    pub(super) host: Option<Text>,
    pub(super) target: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct State {
    pub(super) dir: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Policies {
    pub(super) dir: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Justification {
    pub(super) required: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Recording {
    pub(super) typed: Option<Typed>,
    pub(super) warn: Option<Loose>,
    pub(super) refuse: Option<Loose>,
    pub(super) chunk_age: Option<Loose>,
    pub(super) segment_mib: Option<Loose>,
    pub(super) recipients: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Index {
    pub(super) screen: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Typed {
    Withhold,
    Record,
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Notice {
    pub(super) on: Option<bool>,
    pub(super) text: Option<String>,
    pub(super) certificate: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) login_grace: Option<Loose>,
    pub(super) unauthenticated: Option<Loose>,
    pub(super) unauthenticated_per_source: Option<Loose>,
    pub(super) attempts: Option<Loose>,
    pub(super) offers: Option<Loose>,
    pub(super) connections: Option<Loose>,
    pub(super) connections_per_person: Option<Loose>,
    pub(super) channels: Option<Loose>,
    pub(super) env: Option<Loose>,
    pub(super) memory: Option<Loose>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Session {
    pub(super) idle: Option<Loose>,
    pub(super) max_duration: Option<Loose>,
    pub(super) keepalive: Option<Loose>,
    pub(super) dial_timeout: Option<Loose>,
    pub(super) env: Option<Vec<String>>,
    pub(super) drain: Option<Loose>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Target {
    pub(super) name: Option<Text>,
    #[serde(rename = "match")]
    pub(super) pattern: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) logins: Vec<Text>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) host: Option<Spanned<Host>>,
    pub(super) auth: Option<Loose>,
    pub(super) source_address: Option<Loose>,
    pub(super) durability: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Host {
    pub(super) ca: Option<Text>,
    pub(super) known_hosts: Option<Text>,
    pub(super) keys: Option<Vec<Text>>,
}
