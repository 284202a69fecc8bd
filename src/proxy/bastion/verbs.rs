//! Verbs over ssh without a cycle: `proxy` owns this trait, `cli` implements it with the command
//! tree that operators use, `cli serve` hands it to `server`.

use crate::access::Caller;
use crate::id::{Login, SessionId};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// What somebody typed after `ssh bastion`, and the ends of their channel (or of the control socket).
pub struct Call {
    /// The command exactly as ssh joined it; empty is the console when there is a terminal.
    pub line: String,
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    pub output: Box<dyn AsyncWrite + Send + Unpin>,
    pub errors: Box<dyn AsyncWrite + Send + Unpin>,
    /// Size of the person's terminal in characters, changing with it; `None` without a terminal.
    pub terminal: Option<watch::Receiver<(u16, u16)>>,
    /// `TERM`, `LANG`, `TZ` as far as the client sent them.
    pub env: Vec<(String, String)>,
    pub taking: Taking,
    /// Printed as `ref:` with every refusal.
    pub reference: SessionId,
}

/// How the caller takes an answer that is files. What is not [`Taking::Stream`] is sent in frames, and
/// only on the node, where the caller's own process writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taking {
    /// The bytes and nothing else.
    #[default]
    Stream,
    One,
    Several,
}

/// What the channel does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerbEnd {
    /// 0 done, 1 no, 2 usage, 3 denied, 4 fault.
    Exit(u8),
    /// Open a session there on this very channel.
    Connect(Choice),
}

/// What was chosen in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub target: String,
    pub login: Login,
    /// Read beyond the choice: it belongs to the target.
    pub typed: Vec<u8>,
}

/// Dropping the future ends the verb; it must hold nothing that outlives it.
pub trait Verbs: Send + Sync + 'static {
    fn run<'a>(
        &'a self,
        caller: Caller,
        call: Call,
    ) -> Pin<Box<dyn Future<Output = VerbEnd> + Send + 'a>>;
}
