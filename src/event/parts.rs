//! The pieces that kinds are made of.

use super::CertificateFacts;
use crate::id::SessionId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text where the bytes are UTF-8, else base64 (RFC 4648 §4); `n` is the length in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextOrBytes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    pub n: u64,
}

/// Everything a session starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStart {
    /// Wall clock at the start, nanoseconds since the epoch; `ts` of every line is this + `mt`.
    pub started_unix_ns: u64,
    /// `jump`, `name` or `console`.
    pub door: String,
    /// Identification string of the client (RFC 4253 §4.2).
    pub client_version: String,
    pub negotiated: Negotiated,
    /// The full certificate, as in a `-cert.pub` file.
    pub certificate: String,
    pub decision: Decision,
    /// SHA-256 over all policies and the schema in force.
    pub policy_set: String,
    /// SHA-256 of the notice shown as banner; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What the recorder keeps: `withhold` or `record` for what is typed on a terminal.
    pub typed: String,
    /// Bytes a direction that an exec without terminal keeps before only size and hash are.
    pub content_bytes: u64,
    pub clock_synchronised: Option<bool>,
    /// Version of Portcullis.
    pub build: String,
}

/// Algorithms of the user side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Negotiated {
    pub kex: String,
    pub cipher: String,
    pub mac: String,
    pub host_key: String,
}

/// What policy said and which policies said it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    pub action: String,
    pub allowed: bool,
    /// Ids of the policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Evaluation errors; a decision with one is a denial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// How the target's host key was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostKey {
    pub fingerprint: String,
    /// `ca`, `known_hosts` or `pinned`.
    pub verified_by: String,
}

/// RFC 4254 §6.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pty {
    pub term: String,
    pub cols: u32,
    pub rows: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<TerminalMode>,
}

/// RFC 4254 §8: what a terminal was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalMode {
    pub opcode: u8,
    pub value: u32,
}

/// RFC 4254 §6.9, without `SIG`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SignalName(pub String);

/// Size and hash of one direction of a channel whose content was not kept in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamSum {
    pub direction: super::Direction,
    pub bytes: u64,
    /// SHA-256 of the whole stream, hexadecimal.
    pub sha256: String,
    /// Bytes of it that are in the recording.
    pub kept_bytes: u64,
}

/// How a channel ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<SignalName>,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

/// One search, told before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchFact {
    /// What was looked for; what looks like a secret in it is masked.
    pub words: String,
    /// `commands`, `files`, `forwards`, `screen`.
    pub within: Vec<String>,
    /// The options that narrowed it.
    pub filter: String,
}

/// One export, told at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportFact {
    pub format: String,
    /// The words that asked for it.
    pub filter: String,
    pub sessions: u64,
    pub events: u64,
    pub bytes: u64,
    /// Of the bytes that went out, hexadecimal; empty when they did not all go out.
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

/// A sentence with a stable code for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub code: String,
    pub message: String,
    /// The connection or session it belongs to, as printed to the person (`ref:`).
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<SessionId>,
    /// What the certificate of a refused login says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Box<CertificateFacts>>,
    /// SHA-256 fingerprints of the keys that a refused login showed without a certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl TextOrBytes {
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let n = bytes.len() as u64;
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                data: Some(text.to_owned()),
                base64: None,
                n,
            },
            Err(_) => Self {
                data: None,
                base64: Some(STANDARD.encode(bytes)),
                n,
            },
        }
    }
}
