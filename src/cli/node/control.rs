//! `state/control.sock`: verbs on the node, decided and recorded by the running bastion.
//!
//! Frames: one byte what, four bytes length (little endian), the bytes.

use crate::access::Caller;
use crate::cli::answer::ENOUGH;
use crate::clock::Clock;
use crate::event::Audit;
use crate::id::SessionId;
use crate::proxy::{Call, House, Status, Taking, VerbEnd, Verbs};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024;
const PIPE_BYTES: usize = 64 * 1024;
/// After EMFILE and the like: long enough for a connection to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const CALL: u8 = b'w';
const INPUT: u8 = b'i';
const END_OF_INPUT: u8 = b'e';
const SIZE: u8 = b'r';
const OUTPUT: u8 = b'o';
const ERRORS: u8 = b'x';
const EXIT: u8 = b'q';
/// An event of a verb that works on files (issue, revoke): the running bastion has the node's stream.
const EVENT: u8 = b'v';
/// What the running bastion says of itself; answered in the same frame.
const STATUS: u8 = b's';

/// What the caller's side knows.
#[derive(Debug, Deserialize, Serialize)]
pub struct Wanted {
    pub line: String,
    pub terminal: Option<(u16, u16)>,
    pub env: Vec<(String, String)>,
    #[serde(default)]
    pub taking: Taking,
}

/// Where the caller's side writes what comes back.
pub struct Ends {
    pub output: Box<dyn AsyncWrite + Send + Unpin>,
    pub errors: Box<dyn AsyncWrite + Send + Unpin>,
}

pub(crate) async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let what = from.read_u8().await?;
    let length = usize::try_from(from.read_u32_le().await?).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(
            "a frame of the control socket is too long",
        ));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok((what, bytes))
}

pub(crate) async fn write_frame(
    to: &mut (impl AsyncWrite + Unpin),
    what: u8,
    bytes: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_u8(what).await?;
    to.write_u32_le(length).await?;
    to.write_all(bytes).await?;
    to.flush().await
}

/// Serves until `stop`. Only the bastion's own account (and root) can open the socket.
pub async fn serve(
    path: &Path,
    house: Arc<House>,
    verbs: Arc<dyn Verbs>,
    stop: CancellationToken,
) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // EMFILE and the like pass; the operator needs this door most then.
            Err(error) => {
                tracing::warn!(%error, "a caller at the control socket could not be let in");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (verbs, stop) = (Arc::clone(&verbs), stop.clone());
        let house = Arc::clone(&house);
        tasks.spawn(async move {
            tokio::select! {
                done = answer(stream, &house, verbs) => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "a caller at the control socket went away");
                    }
                }
                () = stop.cancelled() => {}
            }
        });
    }
    tasks.close();
    tasks.wait().await;
    std::fs::remove_file(path)
}

async fn answer(stream: UnixStream, house: &House, verbs: Arc<dyn Verbs>) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let user = if user == 0 {
        "root".to_owned()
    } else {
        user.to_string()
    };
    let (mut from, mut to) = stream.into_split();
    let (what, bytes) = read_frame(&mut from).await?;
    if what == EVENT {
        let event: Audit = serde_json::from_slice(&bytes)?;
        house
            .recorder
            .append_node(event)
            .await
            .map_err(io::Error::other)?;
        return write_frame(&mut to, EXIT, &[0]).await;
    }
    if what == STATUS {
        let status = serde_json::to_vec(&house.status())?;
        return write_frame(&mut to, STATUS, &status).await;
    }
    if what != CALL {
        return Err(io::Error::other("the first frame is no call"));
    }
    let wanted: Wanted = serde_json::from_slice(&bytes)?;
    let (mut typed, input) = duplex(PIPE_BYTES);
    let (output, shown) = duplex(PIPE_BYTES);
    let (errors, said) = duplex(PIPE_BYTES);
    let size = watch::Sender::new(wanted.terminal.unwrap_or((0, 0)));
    let call = Call {
        line: wanted.line,
        input: Box::new(input),
        output: Box::new(output),
        errors: Box::new(errors),
        terminal: wanted.terminal.map(|_| size.subscribe()),
        env: wanted.env,
        taking: wanted.taking,
        reference: SessionId::at(Clock::system().now()),
    };
    let to = Mutex::new(to);
    let reading = async {
        while let Ok((what, bytes)) = read_frame(&mut from).await {
            match what {
                // A verb that reads nothing, or no more, is no fault: its answer is on the way.
                INPUT => drop(typed.write_all(&bytes).await),
                END_OF_INPUT => drop(typed.shutdown().await),
                SIZE => {
                    size.send_replace(serde_json::from_slice(&bytes)?);
                }
                _ => return Err(io::Error::other("an unknown frame")),
            }
        }
        // Whoever called is gone.
        Ok::<(), io::Error>(())
    };
    let running = async {
        let run = verbs.run(Caller::Operator { user }, call);
        let (end, out, err) = tokio::join!(run, pass(shown, OUTPUT, &to), pass(said, ERRORS, &to));
        out?;
        err?;
        let code = match end {
            VerbEnd::Exit(code) => code,
            // The console leads a person on; an operator has no certificate to go on with.
            VerbEnd::Connect(_) => 3,
        };
        write_frame(&mut *to.lock().await, EXIT, &[code]).await
    };
    tokio::select! {
        done = running => done,
        gone = reading => gone,
    }
}

async fn pass<W: AsyncWrite + Unpin>(
    mut from: DuplexStream,
    what: u8,
    to: &Mutex<W>,
) -> io::Result<()> {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    loop {
        let n = from.read(&mut buffer).await?;
        let bytes = buffer.get(..n).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        write_frame(&mut *to.lock().await, what, bytes).await?;
    }
}

/// Standard output waits for the end of a line, which a picture may not have.
async fn written(out: &mut (dyn AsyncWrite + Send + Unpin), bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes).await?;
    out.flush().await
}

/// Has the running bastion record an event.
pub async fn tell(path: &Path, event: &Audit) -> io::Result<()> {
    let mut stream = UnixStream::connect(path).await?;
    write_frame(&mut stream, EVENT, &serde_json::to_vec(event)?).await?;
    read_frame(&mut stream).await.map(drop)
}

/// What the bastion that holds `path` says of itself; `None` when none does.
pub async fn status(path: &Path) -> io::Result<Option<Status>> {
    let Ok(mut stream) = UnixStream::connect(path).await else {
        return Ok(None);
    };
    write_frame(&mut stream, STATUS, &[]).await?;
    let (_, bytes) = read_frame(&mut stream).await?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Runs a verb through the bastion that holds `path`; `None` when none does. `size` is the
/// terminal's, as it changes.
pub async fn call(
    path: &Path,
    wanted: &Wanted,
    mut size: watch::Receiver<(u16, u16)>,
    ends: &mut Ends,
) -> io::Result<Option<u8>> {
    let Ok(stream) = UnixStream::connect(path).await else {
        return Ok(None);
    };
    let (mut from, mut to) = stream.into_split();
    write_frame(&mut to, CALL, &serde_json::to_vec(wanted)?).await?;
    // When the bastion has answered and left, what is still typed has nowhere to go: that is no
    // fault, and the exit code is on its way to the other half.
    let typing = async {
        let mut typed = tokio::io::stdin();
        let mut buffer = vec![0; 4096];
        loop {
            let (what, bytes) = tokio::select! {
                read = typed.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => (END_OF_INPUT, Vec::new()),
                    Ok(n) => (INPUT, buffer.get(..n).unwrap_or_default().to_vec()),
                },
                Ok(()) = size.changed() => {
                    let now = *size.borrow_and_update();
                    (SIZE, serde_json::to_vec(&now)?)
                }
            };
            if write_frame(&mut to, what, &bytes).await.is_err() || what == END_OF_INPUT {
                break;
            }
        }
        std::future::pending::<io::Result<u8>>().await
    };
    let showing = async {
        let (out, err) = (&mut ends.output, &mut ends.errors);
        loop {
            let (what, bytes) = read_frame(&mut from).await?;
            match what {
                OUTPUT => match written(out, &bytes).await {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ENOUGH),
                    written => written?,
                },
                ERRORS => err.write_all(&bytes).await?,
                _ => return Ok(bytes.first().copied().unwrap_or(4)),
            }
            err.flush().await?;
        }
    };
    tokio::select! {
        code = showing => code.map(Some),
        code = typing => code.map(Some),
    }
}
