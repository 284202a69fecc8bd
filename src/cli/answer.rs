//! How every verb answers: lines for people, JSON for machines, an exit code.

use crate::event::{Shown, escape_json};
use crate::proxy::Call;
use crate::{replay, store};
use serde::Serialize;
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Who reads standard output has had enough (`| head`): what a shell says of SIGPIPE, and no fault.
pub(super) const ENOUGH: u8 = 141;

/// Why a verb did not do what it was asked. `Display` is for the person.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Unknown and forbidden alike.
    #[error("no session `{0}` that you may see: `sessions` lists those that you may")]
    NoSession(String),
    #[error("`{part}` is part of several session ids, write more of it: {ids}")]
    Ambiguous { part: String, ids: String },
    #[error("`{0}` is not allowed for you")]
    Denied(&'static str),
    #[error("{0}")]
    Usage(String),
    #[error("that cannot be recorded, so it is not done: {0}")]
    Unrecorded(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Recording(#[from] replay::Error),
    /// The other end went away.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    /// What scripts rely on: 1 no, 2 usage, 3 denied, 4 fault.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoSession(_) => 1,
            Self::Denied(_) => 3,
            Self::Ambiguous { .. } | Self::Usage(_) => 2,
            Self::Unrecorded(_) | Self::Store(_) | Self::Recording(_) => 4,
            Self::Output(_) if self.is_enough() => ENOUGH,
            Self::Output(_) | Self::Broken(_) => 4,
        }
    }

    fn is_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Line end of an answer: a terminal behind ssh is raw and needs the return.
pub(super) fn line_end(call: &Call) -> &'static str {
    match call.terminal {
        Some(_) => "\r\n",
        None => "\n",
    }
}

/// JSON for a terminal or a file.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Fault> {
    let text = serde_json::to_string(value).map_err(|error| Fault::Broken(error.to_string()))?;
    Ok(escape_json(&text))
}

/// Prints what went wrong, if something did, and gives the exit code.
pub(super) async fn finish(done: Result<u8, Fault>, call: &mut Call) -> u8 {
    let end = line_end(call);
    let code = match done {
        Ok(code) => code,
        Err(fault) if fault.is_enough() => fault.code(),
        Err(fault) => {
            let text = format!(
                "portcullis: {}{end}ref: {}{end}",
                Shown(&fault.to_string()),
                call.reference
            );
            // Nobody is left to tell when this fails, too.
            drop(call.errors.write_all(text.as_bytes()).await);
            fault.code()
        }
    };
    drop(call.output.flush().await);
    drop(call.errors.flush().await);
    code
}

/// A remark beside the answer.
pub(super) async fn remark(call: &mut Call, text: &str) -> Result<(), Fault> {
    let line = format!("portcullis: {}{}", Shown(text), line_end(call));
    Ok(call.errors.write_all(line.as_bytes()).await?)
}

/// Writes lines; each with the terminal's line end.
pub(super) async fn print(
    output: &mut (dyn AsyncWrite + Send + Unpin),
    end: &str,
    text: &str,
) -> Result<(), Fault> {
    for line in text.lines() {
        output.write_all(line.as_bytes()).await?;
        output.write_all(end.as_bytes()).await?;
    }
    Ok(())
}
