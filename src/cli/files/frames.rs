//! What a verb that writes files says, and how it stands in its answer: frames as on the control
//! socket, or nothing but the bytes where one file goes to standard output.

use crate::cli::answer::Fault;
use crate::cli::node::control::{FRAME_BYTES_MAX, read_frame, write_frame};
use crate::proxy::{Call, Taking};
use std::io;
use tokio::io::{AsyncRead, AsyncWriteExt};

const FILE: u8 = b'f';
const BYTES: u8 = b'd';
const PROGRESS: u8 = b'p';
const WHOLE: u8 = b'z';

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// What follows is of this file.
    File(String),
    Bytes(Vec<u8>),
    /// So many of all are done.
    Progress(u64, u64),
    /// Nothing is missing.
    Whole,
}

impl Frame {
    /// `None` at the end.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let (what, bytes) = match read_frame(from).await {
            Ok(frame) => frame,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let broken = || io::Error::other("an unknown frame in the answer");
        Ok(Some(match what {
            FILE => Self::File(String::from_utf8(bytes).map_err(|_| broken())?),
            BYTES => Self::Bytes(bytes),
            PROGRESS => {
                let (done, all) = serde_json::from_slice(&bytes)?;
                Self::Progress(done, all)
            }
            WHOLE => Self::Whole,
            _ => return Err(broken()),
        }))
    }
}

/// The verb's side.
pub(crate) struct Out<'a> {
    call: &'a mut Call,
}

impl<'a> Out<'a> {
    pub(crate) fn new(call: &'a mut Call) -> Self {
        Self { call }
    }

    pub(crate) fn call(&mut self) -> &mut Call {
        self.call
    }

    pub(crate) async fn file(&mut self, name: &str) -> Result<(), Fault> {
        self.frame(FILE, name.as_bytes()).await
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.call.taking == Taking::Stream {
            return Ok(self.call.output.write_all(bytes).await?);
        }
        for piece in bytes.chunks(FRAME_BYTES_MAX) {
            self.frame(BYTES, piece).await?;
        }
        Ok(())
    }

    pub(crate) async fn progress(&mut self, done: u64, all: u64) -> Result<(), Fault> {
        let text = serde_json::to_vec(&(done, all)).unwrap_or_default();
        self.frame(PROGRESS, &text).await
    }

    pub(crate) async fn whole(&mut self) -> Result<(), Fault> {
        self.frame(WHOLE, &[]).await?;
        Ok(self.call.output.flush().await?)
    }

    async fn frame(&mut self, what: u8, bytes: &[u8]) -> Result<(), Fault> {
        match self.call.taking {
            Taking::Stream => Ok(()),
            Taking::One | Taking::Several => {
                Ok(write_frame(&mut self.call.output, what, bytes).await?)
            }
        }
    }
}
