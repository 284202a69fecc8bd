//! Every kind of audit event. A published kind never changes; a new one is a new variant, a golden
//! line, and a word in `docs/recording-format.md`.

use super::{
    AgentAnswer, AgentClose, AgentRefuse, AgentSign, Blind, ChannelDetail, Command, Decision, End,
    ExportFact, Forward, ForwardCancel, ForwardClose, ForwardDeny, ForwardListen, Git, HostKey,
    Note, Outcome, Pty, Reveal, Rsync, ScpDirectory, ScpFile, SearchFact, SecretLine, SessionStart,
    Severity, SftpFile, SftpList, SftpOperation, SignalName, StreamSum, TextOrBytes, Totals,
    TransferError, Where, Who, Why,
};
use crate::id::SessionId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A line that stands alone: what happened, to whom, where, why, and with which outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    #[serde(flatten)]
    pub kind: Kind,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Arc<Who>>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<Arc<Where>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<Why>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum Kind {
    #[serde(rename = "session.start")]
    SessionStart(Box<SessionStart>),
    #[serde(rename = "session.end")]
    SessionEnd {
        reason: End,
        /// One sentence more, where there is one: what the network or the recorder said.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        totals: Totals,
    },
    /// A certificate of the same identity and key carries the session on.
    #[serde(rename = "session.renew")]
    SessionRenew { certificate: String },

    #[serde(rename = "auth.accept")]
    AuthAccept(Note),
    #[serde(rename = "auth.fail")]
    AuthFail(Note),
    #[serde(rename = "target.auth")]
    TargetAuth {
        /// `certificate` or `key`.
        method: String,
        host_key: HostKey,
        /// Key id of the session certificate, as the target's log shows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        address: String,
    },
    #[serde(rename = "target.fail")]
    TargetFail(Note),

    #[serde(rename = "access.admit")]
    AccessAdmit {
        #[serde(rename = "ref")]
        reference: SessionId,
        decision: Decision,
    },
    #[serde(rename = "access.deny")]
    AccessDeny {
        #[serde(rename = "ref")]
        reference: SessionId,
        decision: Decision,
        message: String,
    },

    #[serde(rename = "channel.open")]
    ChannelOpen {
        /// `session`, `direct-tcpip`, ... (RFC 4254).
        channel_type: String,
    },
    #[serde(rename = "channel.close")]
    ChannelClose(ChannelDetail),
    #[serde(rename = "pty")]
    Pty(Pty),
    #[serde(rename = "env")]
    Env {
        name: String,
        value: String,
        /// Whether it went on to the target.
        accepted: bool,
    },
    #[serde(rename = "shell")]
    Shell { decision: Decision },
    #[serde(rename = "exec")]
    Exec {
        command: TextOrBytes,
        decision: Decision,
    },
    #[serde(rename = "subsystem")]
    Subsystem { name: String, decision: Decision },
    #[serde(rename = "signal")]
    Signal { signal: SignalName },
    #[serde(rename = "stream")]
    Stream(StreamSum),

    #[serde(rename = "sftp.file")]
    SftpFile(Box<SftpFile>),
    #[serde(rename = "sftp.operation")]
    SftpOperation(Box<SftpOperation>),
    #[serde(rename = "sftp.list")]
    SftpList(Box<SftpList>),
    #[serde(rename = "sftp.error")]
    SftpError(Box<TransferError>),
    #[serde(rename = "scp.file")]
    ScpFile(Box<ScpFile>),
    #[serde(rename = "scp.directory")]
    ScpDirectory(Box<ScpDirectory>),
    #[serde(rename = "scp.error")]
    ScpError(Box<TransferError>),
    #[serde(rename = "rsync")]
    Rsync(Rsync),
    #[serde(rename = "git")]
    Git(Git),

    /// A connection through the session: allowed, and about to be made.
    #[serde(rename = "forward.open")]
    ForwardOpen(Box<Forward>),
    #[serde(rename = "forward.close")]
    ForwardClose(Box<ForwardClose>),
    #[serde(rename = "forward.listen")]
    ForwardListen(Box<ForwardListen>),
    #[serde(rename = "forward.cancel")]
    ForwardCancel(Box<ForwardCancel>),
    #[serde(rename = "forward.deny")]
    ForwardDeny(Box<ForwardDeny>),

    /// The person's agent may be used from the target, from here to the end of this channel.
    #[serde(rename = "agent.forward")]
    AgentForward { decision: Decision },
    /// Somebody at the target connected to it.
    #[serde(rename = "agent.open")]
    AgentOpen,
    #[serde(rename = "agent.list")]
    AgentList,
    /// Which extensions does the agent have?
    #[serde(rename = "agent.query")]
    AgentQuery,
    /// Which connection what follows is for (`session-bind@openssh.com`).
    #[serde(rename = "agent.bind")]
    AgentBind { host_key: String, forwarding: bool },
    #[serde(rename = "agent.sign")]
    AgentSign(Box<AgentSign>),
    /// Answered by the bastion; the person's agent never saw it.
    #[serde(rename = "agent.refuse")]
    AgentRefuse(Box<AgentRefuse>),
    #[serde(rename = "agent.answer")]
    AgentAnswer(Box<AgentAnswer>),
    #[serde(rename = "agent.close")]
    AgentClose(Box<AgentClose>),

    /// What a person ran.
    #[serde(rename = "command")]
    Command(Box<Command>),
    /// A line that was typed without being shown.
    #[serde(rename = "command.secret")]
    CommandSecret(SecretLine),
    /// From here to there no commands can be said.
    #[serde(rename = "blind")]
    Blind(Blind),
    /// What withheld input was, once it was shown.
    #[serde(rename = "input.reveal")]
    InputReveal(Reveal),

    /// A recording or the list of them was looked at.
    #[serde(rename = "view")]
    View {
        verb: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// Recordings were searched.
    #[serde(rename = "search")]
    Search(Box<SearchFact>),
    /// Recordings left the house: what was asked for, and what went out.
    #[serde(rename = "export")]
    Export(Box<ExportFact>),
    /// Somebody looked at a session and signs it off.
    #[serde(rename = "review")]
    Review { session: SessionId, note: String },
    #[serde(rename = "replay")]
    Replay { session: SessionId },

    #[serde(rename = "alert")]
    Alert { severity: Severity, note: Note },
    #[serde(rename = "error")]
    Error(Note),
    /// A recorded hole.
    #[serde(rename = "gap")]
    Gap {
        bytes: u64,
        events: u64,
        message: String,
    },
    #[serde(rename = "clock")]
    Clock { step_ms: i64 },

    #[serde(rename = "node.start")]
    NodeStart { build: String, started_unix_ns: u64 },
    #[serde(rename = "node.stop")]
    NodeStop,
    #[serde(rename = "node.recover")]
    NodeRecover {
        sessions: u64,
        torn_bytes: u64,
        quarantined: Vec<String>,
    },
    #[serde(rename = "config.change")]
    ConfigChange {
        actor: String,
        difference: String,
        sha256: String,
    },
    #[serde(rename = "policy.change")]
    PolicyChange {
        actor: String,
        difference: String,
        sha256: String,
    },
    #[serde(rename = "krl.load")]
    KrlLoad {
        file: String,
        number: u64,
        entries: u64,
        sha256: String,
    },
    #[serde(rename = "cert.issue")]
    CertIssue {
        key_id: String,
        serial: u64,
        fingerprint: String,
        principals: Vec<String>,
        not_after: chrono::DateTime<chrono::Utc>,
    },
    #[serde(rename = "cert.revoke")]
    CertRevoke { what: String, reason: String },
    /// A reason and ticket set for a certificate by the verb `why`.
    #[serde(rename = "why.set")]
    WhySet {
        until: chrono::DateTime<chrono::Utc>,
    },
    /// A verb that someone ran, allowed or not.
    #[serde(rename = "verb")]
    Verb {
        verb: String,
        decision: Decision,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<SessionId>,
    },
}

impl Audit {
    /// An event of nobody at no place: the node's own.
    pub fn of_node(kind: Kind, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            who: None,
            place: None,
            why: None,
        }
    }
}
