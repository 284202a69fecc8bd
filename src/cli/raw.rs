//! The local terminal in raw mode, and as it was on every way out.

use crate::replay::Painter;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io;

/// While it lives, keys come byte by byte. Dropped on return, error and panic alike; for signals
/// the caller must end its future, see [`until_signal`].
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// The controlling terminal of standard input. None if that is no terminal.
    ///
    /// # Errors
    /// When the terminal does not let itself be set.
    pub fn enter() -> io::Result<Option<Self>> {
        Self::on(rustix::stdio::stdin())
    }

    fn on(input: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        if !rustix::termios::isatty(input) {
            return Ok(None);
        }
        let before = tcgetattr(input)?;
        let mut raw = before.clone();
        raw.make_raw();
        // First what can fail without a trace, then the change.
        let terminal = rustix::io::dup(input)?;
        tcsetattr(input, OptionalActions::Flush, &raw)?;
        Ok(Some(Self { terminal, before }))
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = tcgetwinsize(&self.terminal)?;
        Ok((size.ws_col, size.ws_row))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Whoever drew may have been stopped in the middle. Leaving the alternate screen twice does
        // no harm.
        let left = Painter::leave()
            .and_then(|bytes| Ok(rustix::io::write(&self.terminal, &bytes)?))
            .map_err(|error| error.to_string());
        let restored = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
        tracing::debug!(?left, ?restored, "the terminal is given back");
    }
}

/// Returns at SIGINT, SIGTERM, SIGHUP or SIGQUIT, with the exit code that says so. Run the verb
/// beside it, so that its end drops the [`RawTerminal`].
///
/// # Errors
/// When signals cannot be listened to.
pub async fn until_signal() -> io::Result<u8> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    // 128 and the number of the signal, as shells have it.
    Ok(tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
        _ = hangup.recv() => 129,
        _ = quit.recv() => 131,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::LocalModes;
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn the_terminal_is_given_back_on_return_and_on_panic() {
        let (_ours, theirs) = pty_process::open().unwrap();
        let file = std::fs::File::from(theirs.as_fd().try_clone_to_owned().unwrap());
        let cooked = || {
            tcgetattr(&file)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO | LocalModes::ICANON)
        };
        assert!(cooked());
        let raw = RawTerminal::on(file.as_fd()).unwrap().unwrap();
        assert!(!cooked());
        drop(raw);
        assert!(cooked());
        let panicked = std::panic::catch_unwind(|| {
            let _raw = RawTerminal::on(file.as_fd()).unwrap().unwrap();
            panic!("in the middle of a picture");
        });
        assert!(panicked.is_err() && cooked());
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(RawTerminal::on(null.as_fd()).unwrap().is_none());
    }
}
