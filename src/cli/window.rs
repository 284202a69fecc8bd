//! Somebody's terminal while we draw on it: keys in, pictures out, and as it was when we go.

use super::answer::Fault;
use crate::proxy::Call;
use crate::replay::{Key, Keys, Painter, viewer_size};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// After this long without a byte a lone ESC is the key, not the start of a sequence.
const SETTLE: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 1024;

/// What happened while we waited.
#[derive(Debug)]
pub(super) enum Moment {
    Keys(Vec<Key>),
    Resized,
    Waited,
    /// Nobody is there any more, or we are told to stop.
    Gone,
}

/// Takes the ends of a [`Call`] for as long as it lives; give them back with [`Window::close`].
/// Dropped before that it still restores the terminal, as far as its buffer takes the bytes.
pub(super) struct Window {
    ends: Option<Ends>,
    size: watch::Receiver<(u16, u16)>,
    sized: bool,
    keys: Keys,
    /// Read behind a line end: keys of the next picture, or of whoever has the terminal next.
    ahead: Vec<u8>,
    /// How long nothing came since the last byte.
    quiet: Duration,
    painter: Painter,
    stop: CancellationToken,
}

struct Ends {
    input: Box<dyn AsyncRead + Send + Unpin>,
    output: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Window {
    /// None without a terminal.
    pub(super) async fn open(
        call: &mut Call,
        stop: CancellationToken,
    ) -> Result<Option<Self>, Fault> {
        let Some(size) = call.terminal.clone() else {
            return Ok(None);
        };
        let ends = Ends {
            input: std::mem::replace(&mut call.input, Box::new(tokio::io::empty())),
            output: std::mem::replace(&mut call.output, Box::new(tokio::io::sink())),
        };
        let mut window = Self {
            ends: Some(ends),
            size,
            sized: true,
            keys: Keys::default(),
            ahead: Vec::new(),
            quiet: Duration::ZERO,
            painter: Painter::default(),
            stop,
        };
        window.write(&Painter::enter()?).await?;
        Ok(Some(window))
    }

    pub(super) fn area(&self) -> Rect {
        viewer_size(*self.size.borrow())
    }

    pub(super) async fn paint(
        &mut self,
        picture: (Buffer, Option<(u16, u16)>),
    ) -> Result<(), Fault> {
        let (buffer, cursor) = picture;
        let bytes = self.painter.paint(buffer, cursor)?;
        self.write(&bytes).await
    }

    /// Waits for a key, a new size or that long; without a time for a key or a size. Cancel safe:
    /// each branch is.
    pub(super) async fn wait(&mut self, time: Option<Duration>) -> Moment {
        let Some(ends) = &mut self.ends else {
            return Moment::Gone;
        };
        let settling = self
            .keys
            .unsettled()
            .then(|| SETTLE.saturating_sub(self.quiet));
        let time = match (settling, time) {
            (Some(left), Some(time)) => Some(time.min(left)),
            (left, time) => left.or(time),
        };
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return Moment::Keys(self.feed(&ahead));
        }
        let mut bytes = [0; READ_BYTES];
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Moment::Gone,
            read = ends.input.read(&mut bytes) => match read {
                Ok(0) | Err(_) => Moment::Gone,
                Ok(n) => {
                    self.quiet = Duration::ZERO;
                    let bytes = bytes.get(..n).unwrap_or_default();
                    Moment::Keys(self.feed(bytes))
                }
            },
            changed = self.size.changed(), if self.sized => {
                self.sized = changed.is_ok();
                Moment::Resized
            }
            () = sleep(time) => {
                self.quiet = self.quiet.saturating_add(time.unwrap_or_default());
                match self.keys.unsettled() && self.quiet >= SETTLE {
                    true => Moment::Keys(self.keys.settle()),
                    false => Moment::Waited,
                }
            }
        }
    }

    /// Keys up to the first line end: Enter may hand the terminal on, with all that follows it.
    fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (now, ahead) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        self.ahead.extend_from_slice(ahead);
        self.keys.feed(now)
    }

    /// What was typed behind the last line end and is not yet a key.
    pub(super) fn typed_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Restores the terminal and gives its ends back.
    pub(super) async fn close(mut self, call: &mut Call) -> Result<(), Fault> {
        let left = self.write(&Painter::leave()?).await;
        if let Some(ends) = self.ends.take() {
            call.input = ends.input;
            call.output = ends.output;
        }
        left
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(ends) = &mut self.ends {
            ends.output.write_all(bytes).await?;
            ends.output.flush().await?;
        }
        Ok(())
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // One try without waiting: a verb that is dropped has no time left.
        if let (Some(ends), Ok(bytes)) = (&mut self.ends, Painter::leave()) {
            let mut context = Context::from_waker(Waker::noop());
            drop(Pin::new(&mut ends.output).poll_write(&mut context, &bytes));
            drop(Pin::new(&mut ends.output).poll_flush(&mut context));
        }
    }
}
