//! The child of a channel: the caller's own shell, in a terminal or on pipes, and its pumps.

use super::inbox::Inbox;
use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

/// One SSH packet.
const READ_BYTES: usize = 32 * 1024;
/// A background job of the shell may hold the terminal open; nobody waits for it longer than this.
const AFTER_EXIT: Duration = Duration::from_millis(250);
/// `/bin/sh` knows the caller's own shell, so that nothing here reads the environment.
const SHELL: &str = "exec \"${SHELL:-/bin/sh}\"";
const COMMAND: &str = "exec \"${SHELL:-/bin/sh}\" -c \"$1\"";

/// Says whose shell this is; the tour waits for it before it types.
pub(super) const GREETING: &[u8] = b"This is db1, the demo's target: a shell of your own.\r\n";

/// Columns and rows.
pub(super) type Size = (u16, u16);

/// What a channel asked for before its shell or command.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// `TERM` and the size that changes; `None` without a terminal.
    pub(super) terminal: Option<(String, watch::Receiver<Size>)>,
    pub(super) env: Vec<(String, String)>,
    /// `None` is a shell.
    pub(super) command: Option<Vec<u8>>,
}

/// The way back, and what else reaches the child.
pub(super) struct Ends {
    pub(super) channel: ChannelId,
    pub(super) output: Arc<ChannelWriteHalf<Msg>>,
    pub(super) connection: Handle,
    pub(super) inbox: Arc<Inbox>,
    pub(super) signals: mpsc::Receiver<Signal>,
}

/// Runs the child to its end and says how it ended. Dropping the future kills the child.
pub(super) async fn run(wanted: Wanted, mut ends: Ends) {
    let ended = match wanted.terminal.clone() {
        Some((term, size)) => in_terminal(&wanted, &term, size, &mut ends).await,
        None => on_pipes(&wanted, &mut ends).await,
    };
    ends.inbox.abandon();
    let told = match ended {
        Ok(status) => say_goodbye(&ends, status).await,
        Err(error) => {
            let line = format!("portcullis demo: the target cannot start a shell: {error}\r\n");
            let said = ends.output.extended_data_bytes(1, Bytes::from(line)).await;
            said.and(ends.output.exit_status(255).await)
        }
    };
    let closed = match told {
        Ok(()) => ends.output.eof().await.and(ends.output.close().await),
        Err(error) => Err(error),
    };
    if closed.is_err() {
        tracing::debug!("the channel was gone before its child");
    }
}

async fn say_goodbye(ends: &Ends, status: ExitStatus) -> Result<(), russh::Error> {
    if let Some(name) = status.signal().and_then(signal_name) {
        let message = String::new();
        let told = ends.connection.exit_signal_request(
            ends.channel,
            name,
            status.core_dumped(),
            message.clone(),
            message,
        );
        return told.await.map_err(|()| russh::Error::SendError);
    }
    let code = status.code().unwrap_or(255);
    ends.output.exit_status(code.unsigned_abs()).await
}

async fn in_terminal(
    wanted: &Wanted,
    term: &str,
    mut size: watch::Receiver<Size>,
    ends: &mut Ends,
) -> io::Result<ExitStatus> {
    let (terminal, side) = pty_process::open().map_err(io::Error::other)?;
    resize(&terminal, *size.borrow_and_update())?;
    let (script, argument) = wanted.script();
    let mut child = pty_process::Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .args(argument)
        .envs(wanted.env.iter().map(|(name, value)| (name, value)))
        .env("TERM", term)
        .kill_on_drop(true)
        .spawn(side)
        .map_err(io::Error::other)?;

    if wanted.command.is_none() && ends.output.data_bytes(GREETING).await.is_err() {
        return child.wait().await;
    }
    let (reader, writer) = terminal.into_split();
    let writer = tokio::sync::Mutex::new(writer);
    let output = pump_out(reader, &ends.output, None);
    tokio::pin!(output);
    let input = async {
        while let Some(bytes) = ends.inbox.take().await {
            if writer.lock().await.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The end of input does not hang up a terminal; sshd does not either.
        std::future::pending::<()>().await;
    };
    tokio::pin!(input);
    let mut output_open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = &mut output, if output_open => output_open = false,
            () = &mut input => {}
            Some(signal) = ends.signals.recv() => send_signal(&child, signal),
            Ok(()) = size.changed() => {
                let now = *size.borrow_and_update();
                // A child that is just gone has no size; the loop sees its end.
                if let Ok(writer) = writer.try_lock() {
                    resize_half(&writer, now);
                }
            }
        }
    };
    if output_open && tokio::time::timeout(AFTER_EXIT, output).await.is_err() {
        tracing::debug!("a background job kept the terminal");
    }
    Ok(status)
}

async fn on_pipes(wanted: &Wanted, ends: &mut Ends) -> io::Result<ExitStatus> {
    let (script, argument) = wanted.script();
    let mut child = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .args(argument)
        .envs(wanted.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("the child has no pipes"));
    };
    let inbox = Arc::clone(&ends.inbox);
    let input = async move {
        pump_in(&inbox, stdin).await;
        inbox.abandon();
    };
    let both = async {
        tokio::join!(
            pump_out(stdout, &ends.output, None),
            pump_out(stderr, &ends.output, Some(1)),
        )
    };
    tokio::pin!(input, both);
    let (mut input_open, mut output_open, mut status) = (true, true, None);
    loop {
        if let (Some(status), false) = (status, output_open) {
            return Ok(status);
        }
        tokio::select! {
            ended = child.wait(), if status.is_none() => status = Some(ended?),
            () = &mut input, if input_open => input_open = false,
            _ = &mut both, if output_open => output_open = false,
            Some(signal) = ends.signals.recv() => send_signal(&child, signal),
        }
    }
}

impl Wanted {
    fn script(&self) -> (&'static str, Option<OsString>) {
        match &self.command {
            None => (SHELL, None),
            Some(command) => (COMMAND, Some(OsString::from_vec(command.clone()))),
        }
    }
}

/// Until the child closes its end, or the channel is gone. A terminal says EIO at its end.
async fn pump_out(
    mut from: impl AsyncRead + Unpin,
    to: &ChannelWriteHalf<Msg>,
    stream: Option<u32>,
) {
    let mut buffer = bytes::BytesMut::with_capacity(READ_BYTES);
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        let bytes = buffer.split().freeze();
        let sent = match stream {
            None => to.data_bytes(bytes).await,
            Some(stream) => to.extended_data_bytes(stream, bytes).await,
        };
        if sent.is_err() {
            return;
        }
        buffer.reserve(READ_BYTES);
    }
}

async fn pump_in(inbox: &Inbox, mut to: impl AsyncWrite + Unpin) {
    while let Some(bytes) = inbox.take().await {
        // A child may close its input early (`head -1`); its output goes on.
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn resize(terminal: &pty_process::Pty, (columns, rows): Size) -> io::Result<()> {
    let size = pty_process::Size::new(rows, columns);
    terminal.resize(size).map_err(io::Error::other)
}

fn resize_half(terminal: &pty_process::OwnedWritePty, (columns, rows): Size) {
    if let Err(error) = terminal.resize(pty_process::Size::new(rows, columns)) {
        tracing::debug!(%error, "the terminal kept its size");
    }
}

/// The child is not reaped yet, so its number is still its own.
fn send_signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    let sent = pid
        .and_then(Pid::from_raw)
        .map(|pid| kill_process(pid, signal));
    if let Some(Err(error)) = sent {
        tracing::debug!(%error, "the child did not get its signal");
    }
}

/// RFC 4254 §6.9: the signals that have names there.
pub(super) fn signal_of(name: &Sig) -> Option<Signal> {
    match name {
        Sig::ABRT => Some(Signal::ABORT),
        Sig::ALRM => Some(Signal::ALARM),
        Sig::FPE => Some(Signal::FPE),
        Sig::HUP => Some(Signal::HUP),
        Sig::ILL => Some(Signal::ILL),
        Sig::INT => Some(Signal::INT),
        Sig::KILL => Some(Signal::KILL),
        Sig::PIPE => Some(Signal::PIPE),
        Sig::QUIT => Some(Signal::QUIT),
        Sig::SEGV => Some(Signal::SEGV),
        Sig::TERM => Some(Signal::TERM),
        Sig::USR1 => Some(Signal::USR1),
        Sig::Custom(_) => None,
    }
}

fn signal_name(number: i32) -> Option<Sig> {
    let named = [
        Sig::ABRT,
        Sig::ALRM,
        Sig::FPE,
        Sig::HUP,
        Sig::ILL,
        Sig::INT,
        Sig::KILL,
        Sig::PIPE,
        Sig::QUIT,
        Sig::SEGV,
        Sig::TERM,
        Sig::USR1,
    ];
    named
        .into_iter()
        .find(|name| signal_of(name).is_some_and(|signal| signal.as_raw() == number))
}
