//! A program on a terminal with somebody typing: the real `ssh` of this machine, and our own player.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A first login on a slow machine takes a second or two; a shell may read a long profile.
const PATIENCE: Duration = Duration::from_secs(60);
/// The tour types a few lines; more than this is not ours.
const SCREEN_BYTES_MAX: usize = 256 * 1024;
/// The terminal of everything that the demo runs.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// Wait until the screen shows `shown`, then type `typed`.
pub(super) struct Step {
    pub(super) shown: &'static str,
    pub(super) typed: &'static str,
}

/// Whether the demo's own terminal shows what is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mirror {
    No,
    Yes,
}

impl Mirror {
    /// Somebody watches, and what is drawn fits.
    pub(super) fn if_wide_enough() -> Self {
        let out = io::stdout();
        let size = rustix::termios::tcgetwinsize(&out);
        let fits = size.is_ok_and(|size| size.ws_col >= COLUMNS && size.ws_row >= ROWS);
        match out.is_terminal() && fits {
            true => Self::Yes,
            false => Self::No,
        }
    }
}

/// What was on the screen, and how the program ended.
pub(super) struct Sitting {
    pub(super) screen: String,
    pub(super) status: ExitStatus,
}

/// Is there an `ssh` at all.
pub(super) async fn is_installed() -> bool {
    let mut ssh = tokio::process::Command::new("ssh");
    let quiet = ssh
        .arg("-V")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    quiet.status().await.is_ok()
}

/// Runs `PROGRAM WORDS...` on a terminal of 80 x 24 that knows no colours and no marks, so that a
/// shell keeps its answers plain.
pub(super) async fn sit(
    program: &Path,
    words: &[&str],
    steps: &[Step],
    mirror: Mirror,
) -> io::Result<Sitting> {
    let (mut terminal, side) = pty_process::open().map_err(io::Error::other)?;
    let size = pty_process::Size::new(ROWS, COLUMNS);
    terminal.resize(size).map_err(io::Error::other)?;
    let mut child = pty_process::Command::new(program)
        .args(words)
        .env("TERM", "dumb")
        .kill_on_drop(true)
        .spawn(side)
        .map_err(io::Error::other)?;
    let mut screen = Vec::new();
    let talked =
        tokio::time::timeout(PATIENCE, talk(&mut terminal, steps, mirror, &mut screen)).await;
    let screen = String::from_utf8_lossy(&screen).into_owned();
    match talked {
        Ok(talked) => talked?,
        Err(_) => {
            child.kill().await?;
            let program = program.display();
            let message = format!("{program} did not come to an end; its screen was:\n{screen}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
    }
    let status = child.wait().await?;
    Ok(Sitting { screen, status })
}

/// Until the program closes the terminal (Linux then says EIO).
async fn talk(
    terminal: &mut pty_process::Pty,
    steps: &[Step],
    mirror: Mirror,
    screen: &mut Vec<u8>,
) -> io::Result<()> {
    let (mut next, mut seen) = (0, 0);
    while let Ok(n @ 1..) = terminal.read_buf(screen).await {
        if screen.len() > SCREEN_BYTES_MAX {
            return Err(io::Error::other("more was written than the tour expects"));
        }
        if mirror == Mirror::Yes {
            let fresh = screen.get(screen.len() - n..).unwrap_or_default();
            let mut out = io::stdout().lock();
            out.write_all(fresh).and_then(|()| out.flush())?;
        }
        while let Some(step) = steps.get(next) {
            let fresh = screen.get(seen..).unwrap_or_default();
            let Some(at) = find(fresh, step.shown.as_bytes()) else {
                break;
            };
            seen += at + step.shown.len();
            next += 1;
            terminal.write_all(step.typed.as_bytes()).await?;
        }
    }
    Ok(())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
