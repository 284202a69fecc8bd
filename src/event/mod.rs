//! What happened: the words of schema version 1. `docs/recording-format.md` is the contract.
//!
//! Never: perform I/O, know a protocol library, or change the meaning of a published kind.

mod agent;
mod command;
mod end;
mod entry;
mod file;
mod forward;
mod frame;
mod kind;
mod names;
mod parts;
#[cfg(test)]
#[path = "tests/schema.rs"]
mod schema;
mod secret;
mod shown;
mod who;

pub use agent::{AgentAnswer, AgentClose, AgentEnd, AgentRefuse, AgentSign, AgentSigned};
pub use command::{
    Blind, BlindReason, Command, CommandSource, Confidence, Marks, Reveal, SecretLine, Span,
};
pub use end::{End, Totals};
pub use entry::{Body, Direction, Entry};
pub use file::{
    FileAttributes, FileClosed, FileContent, FileUse, Git, OpenFlag, Rsync, Scope, ScpDirectory,
    ScpFile, SftpFile, SftpList, SftpOperation, TransferError,
};
pub use forward::{
    Endpoint, Forward, ForwardCancel, ForwardClose, ForwardDeny, ForwardDirection, ForwardEnd,
    ForwardGuess, ForwardListen, ForwardSum,
};
pub use frame::{Envelope, Frame};
pub use kind::{Audit, Kind};
pub use names::{KINDS, nearest_kinds};
pub use parts::{
    ChannelDetail, Decision, ExportFact, HostKey, Negotiated, Note, Pty, SearchFact, SessionStart,
    Severity, SignalName, StreamSum, TerminalMode, TextOrBytes,
};
pub use secret::Secret;
pub use shown::Shown;
pub(crate) use shown::{escape_json, is_dangerous};
pub use who::{
    Approver, CertificateFacts, Claimed, Mfa, Outcome, Source, Where, Who, Why, WhySource,
};

/// Schema major of every line.
pub const VERSION: u32 = 1;
