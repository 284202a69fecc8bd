//! What a forwarded agent was asked for. The bytes to be signed and the signatures are never here.

use super::{ForwardSum, TextOrBytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A signature was asked for; what came of it is an [`AgentAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSign {
    /// As `ssh-add -l` prints it: of a certificate, that of its key.
    pub key: String,
    pub key_type: TextOrBytes,
    /// As sent; 2 and 4 ask for SHA-256 and SHA-512 of an RSA key.
    pub flags: u32,
    pub signs: AgentSigned,
    /// Length of what is to be signed.
    pub bytes: u64,
}

/// What it is for, by its own bytes. Whoever asks wrote them: `unknown` is not worse than the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum AgentSigned {
    /// A login over SSH (RFC 4252 §7).
    Login {
        user: TextOrBytes,
        service: TextOrBytes,
        /// Fingerprint of the host that the login is for, where it is said (`publickey-hostbound`).
        #[serde(skip_serializing_if = "Option::is_none")]
        host_key: Option<String>,
    },
    /// A message or file (OpenSSH PROTOCOL.sshsig): `git`, `file`, ...
    Message {
        namespace: TextOrBytes,
    },
    Unknown,
}

/// Something that the bastion answers with no, or an end of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRefuse {
    /// `add`, `remove`, `remove-all`, `lock`, ..., or the number of a request that has no name here.
    pub request: String,
    /// Of an extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<TextOrBytes>,
    pub bytes: u64,
}

/// What the person's agent said; it is recorded before the target hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentAnswer {
    /// `list`, `sign`, `bind` or `query`.
    pub request: String,
    /// `identities`, `signature`, `success`, `extension`, `failure`, or `unexpected`: then the target
    /// is told of a failure.
    pub answer: String,
    /// Of `identities`: how many keys the target learns of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<u32>,
    pub bytes: u64,
}

/// The end of one conversation with the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentClose {
    pub ended: AgentEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of the target, whole ones.
    pub requests: u64,
    pub refused: u64,
    /// What the agent said.
    pub input: ForwardSum,
    /// What the target said.
    pub output: ForwardSum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentEnd {
    #[default]
    Target,
    User,
    Session,
    /// One side did not speak the protocol.
    Malformed,
    /// It did not begin: the user's side did not take it, or too many were open.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Audit, Kind, Outcome};

    #[track_caller]
    fn golden(kind: Kind, json: &str) {
        let audit = Audit::of_node(kind, Outcome::Success);
        assert_eq!(serde_json::to_string(&audit).unwrap(), json);
        assert_eq!(serde_json::from_str::<Audit>(json).unwrap(), audit);
    }

    fn sign(signs: AgentSigned) -> Kind {
        Kind::AgentSign(Box::new(AgentSign {
            key: "SHA256:x".to_owned(),
            key_type: TextOrBytes::from_bytes(b"ssh-rsa"),
            flags: 4,
            signs,
            bytes: 7,
        }))
    }

    #[test]
    fn lines_are_golden() {
        golden(
            Kind::AgentOpen,
            r#"{"kind":"agent.open","outcome":"success"}"#,
        );
        golden(
            Kind::AgentList,
            r#"{"kind":"agent.list","outcome":"success"}"#,
        );
        golden(
            Kind::AgentBind {
                host_key: "SHA256:x".to_owned(),
                forwarding: false,
            },
            r#"{"kind":"agent.bind","host_key":"SHA256:x","forwarding":false,"outcome":"success"}"#,
        );
        golden(
            sign(AgentSigned::Login {
                user: TextOrBytes::from_bytes(b"root"),
                service: TextOrBytes::from_bytes(b"ssh-connection"),
                host_key: None,
            }),
            r#"{"kind":"agent.sign","key":"SHA256:x","key_type":{"data":"ssh-rsa","n":7},"flags":4,"signs":{"for":"login","user":{"data":"root","n":4},"service":{"data":"ssh-connection","n":14}},"bytes":7,"outcome":"success"}"#,
        );
        golden(
            sign(AgentSigned::Unknown),
            r#"{"kind":"agent.sign","key":"SHA256:x","key_type":{"data":"ssh-rsa","n":7},"flags":4,"signs":{"for":"unknown"},"bytes":7,"outcome":"success"}"#,
        );
        golden(
            Kind::AgentRefuse(Box::new(AgentRefuse {
                request: "add".to_owned(),
                extension: None,
                bytes: 9,
            })),
            r#"{"kind":"agent.refuse","request":"add","bytes":9,"outcome":"success"}"#,
        );
        golden(
            Kind::AgentAnswer(Box::new(AgentAnswer {
                request: "list".to_owned(),
                answer: "identities".to_owned(),
                keys: Some(2),
                bytes: 9,
            })),
            r#"{"kind":"agent.answer","request":"list","answer":"identities","keys":2,"bytes":9,"outcome":"success"}"#,
        );
        golden(
            Kind::AgentClose(Box::default()),
            r#"{"kind":"agent.close","ended":"target","requests":0,"refused":0,"input":{"bytes":0,"sha256":""},"output":{"bytes":0,"sha256":""},"outcome":"success"}"#,
        );
    }
}
