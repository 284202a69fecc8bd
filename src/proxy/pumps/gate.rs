//! The stream under russh: reads when [`Flow`] lets it, fails once the connection is killed, and
//! reads ahead, because russh itself makes two system calls a packet: 64 KiB while much comes, and next
//! to nothing while nobody does more than type, because most connections do just that.

use super::flow::{Flow, Reading};
use crate::proxy::entry::negotiated::Overhearing;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

const READ_AHEAD_BYTES: usize = 64 * 1024;
/// A few keystrokes and their answers.
const READ_LITTLE_BYTES: usize = 1024;

pub(crate) struct Gate<S> {
    stream: S,
    flow: Arc<Flow>,
    /// Read and not yet taken: `buffer[taken..filled]`. As long as what comes next may be.
    buffer: Box<[u8]>,
    taken: usize,
    filled: usize,
    /// The last read filled a little room: more follows.
    much: bool,
    wait: Option<Pin<Box<Sleep>>>,
    /// Until both sides have said which algorithms they have.
    overhearing: Option<Box<Overhearing>>,
}

impl<S> Gate<S> {
    pub(crate) fn new(stream: S, flow: Arc<Flow>) -> Self {
        Self {
            overhearing: None,
            stream,
            flow,
            buffer: vec![0; READ_LITTLE_BYTES].into_boxed_slice(),
            taken: 0,
            filled: 0,
            much: false,
            wait: None,
        }
    }

    /// The same, and finds out which algorithms are agreed on.
    pub(crate) fn overhearing(stream: S, flow: Arc<Flow>, overhearing: Overhearing) -> Self {
        Self {
            overhearing: Some(Box::new(overhearing)),
            ..Self::new(stream, flow)
        }
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.flow.wake_reader_with(cx.waker());
        if let Some(wait) = &mut self.wait {
            if self.flow.is_throttled() && !self.flow.is_killed() {
                ready!(wait.as_mut().poll(cx));
            }
            self.wait = None;
            return Poll::Ready(());
        }
        match self.flow.reading() {
            Reading::Now => Poll::Ready(()),
            Reading::Stop => Poll::Pending,
            Reading::After(wait) => {
                let mut sleep = Box::pin(tokio::time::sleep(wait));
                if sleep.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                self.wait = Some(sleep);
                Poll::Pending
            }
        }
    }

    /// For the next read; all that was read is taken.
    fn fit_buffer(&mut self) {
        let room = match self.much {
            true => READ_AHEAD_BYTES,
            false => READ_LITTLE_BYTES,
        };
        if self.buffer.len() != room {
            self.buffer = vec![0; room].into_boxed_slice();
            self.taken = 0;
            self.filled = 0;
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.flow.is_killed() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection was ended",
            ));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.alive()?;
        if me.taken == me.filled {
            ready!(me.poll_permit(cx));
            me.alive()?;
            if out.remaining() >= READ_AHEAD_BYTES && me.overhearing.is_none() {
                return Pin::new(&mut me.stream).poll_read(cx, out);
            }
            me.fit_buffer();
            let mut buffer = ReadBuf::new(&mut me.buffer);
            ready!(Pin::new(&mut me.stream).poll_read(cx, &mut buffer))?;
            me.filled = buffer.filled().len();
            me.much = me.filled >= READ_LITTLE_BYTES;
            me.taken = 0;
            if let Some(overhearing) = &mut me.overhearing
                && !overhearing.user_says(me.buffer.get(..me.filled).unwrap_or_default())
            {
                me.overhearing = None;
            }
        }
        let ahead = me.buffer.get(me.taken..me.filled).unwrap_or_default();
        let n = out.remaining().min(ahead.len());
        out.put_slice(ahead.get(..n).unwrap_or_default());
        me.taken += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.flow.wake_writer_with(cx.waker());
        me.alive()?;
        let written = ready!(Pin::new(&mut me.stream).poll_write(cx, data))?;
        if let Some(overhearing) = &mut me.overhearing
            && !overhearing.bastion_says(data.get(..written).unwrap_or_default())
        {
            me.overhearing = None;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.flow.wake_writer_with(cx.waker());
        me.alive()?;
        Pin::new(&mut me.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.flow.wake_writer_with(cx.waker());
        if me.flow.is_killed() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut me.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::flow::Side;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn bytes_pass_unchanged() {
        let (mut far, near) = duplex(256 * 1024);
        let mut gate = Gate::new(near, Flow::new(Side::User, &Budget::for_test()));
        let sent: Vec<u8> = (0..200_000u32).map(|i| i.to_le_bytes()[0]).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut got = Vec::new();
        gate.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, sent);
    }

    #[tokio::test]
    async fn a_connection_on_which_somebody_types_holds_next_to_nothing() {
        let (mut far, near) = duplex(256 * 1024);
        let mut gate = Gate::new(near, Flow::new(Side::User, &Budget::for_test()));
        let mut got = vec![0; 100_000];
        for (bytes, room) in [
            (64, READ_LITTLE_BYTES),
            (100_000, READ_AHEAD_BYTES),
            (64, READ_LITTLE_BYTES),
        ] {
            far.write_all(&vec![7; bytes]).await.unwrap();
            // A packet at a time, as russh does: what asks for more is not read ahead of.
            for packet in got[..bytes].chunks_mut(32 * 1024) {
                gate.read_exact(packet).await.unwrap();
            }
            // The one that waits for what comes next.
            let mut byte = [0];
            let waits = futures_util::poll!(Box::pin(gate.read(&mut byte))).is_pending();
            assert!(waits);
            assert_eq!(gate.buffer.len(), room, "after {bytes} bytes");
        }
    }

    #[tokio::test]
    async fn a_throttled_target_is_not_read_until_released() {
        let flow = Flow::new(Side::Target, &Budget::for_test());
        let (mut far, near) = duplex(1024);
        let mut gate = Gate::new(near, flow.clone());
        far.write_all(b"x").await.unwrap();
        flow.add(8 * 1024 * 1024);
        let mut byte = [0];
        let mut read = Box::pin(gate.read_exact(&mut byte));
        assert!(futures_util::poll!(&mut read).is_pending());
        flow.release(8 * 1024 * 1024);
        read.await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_gate_fails_both_ways_even_while_waiting() {
        let flow = Flow::new(Side::Target, &Budget::for_test());
        let (_far, near) = duplex(1);
        let mut gate = Gate::new(near, flow.clone());
        flow.add(8 * 1024 * 1024);
        let mut byte = [0];
        {
            let mut read = Box::pin(gate.read_exact(&mut byte));
            assert!(futures_util::poll!(&mut read).is_pending());
            flow.kill();
            assert!(read.await.is_err());
        }
        assert!(gate.write_all(b"xx").await.is_err());
    }
}
