//! How far it is, on the caller's own terminal, when it takes longer than a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Hidden at first; nothing is ever drawn where standard error is no terminal.
pub(crate) fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    // A template of ours parses; were it not to, the bar looks different.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} recordings") {
        bar.set_style(style);
    }
    bar
}

/// Standard error beside the bar: what is said stands above it.
pub(crate) struct Beside(pub(crate) ProgressBar);

impl AsyncWrite for Beside {
    /// Blocks as any write to a terminal does; the process has nothing else to do.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.suspend(|| io::stderr().write(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(io::stderr().flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
