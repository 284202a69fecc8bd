//! Who, where, why: what every audit event carries, so that one line alone answers an auditor.

use crate::id::{Login, Subject, TargetName, Ticket};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The person, as proven; for a refused login as far as it was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// The identity. Absent when nobody was proven (then `certificate.key_id` is a claim).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The user name sent by the client; it carries no right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    pub mfa: Mfa,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What the certificate (PROTOCOL.certkeys) says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateFacts {
    /// SHA-256 fingerprint of the certified public key, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    pub key_id: String,
    pub serial: u64,
    /// SHA-256 fingerprint of the CA's public key.
    pub ca: String,
    pub not_after: DateTime<Utc>,
}

/// Whether a second factor was seen. Touch and PIN flags of FIDO signatures are not handed to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mfa {
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    pub ip: IpAddr,
    pub port: u16,
}

/// The place: node, and for sessions the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Where {
    pub node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// Address and port that the target's name stands for in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
}

/// The justification and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Approver>,
    #[serde(default)]
    pub break_glass: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<WhySource>,
    /// What a CA said that is not believed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Claimed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approver {
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
}

/// First found wins, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WhySource {
    Grant,
    Certificate,
    Verb,
    Env,
    Prompt,
}

/// Statements of a certificate whose CA is not believed for them: `extension name -> text`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Claimed(pub std::collections::BTreeMap<String, String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Failure,
    Denied,
    Error,
    Unknown,
}
