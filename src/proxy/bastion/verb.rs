//! `ssh bastion` and `ssh bastion VERB`: the channel becomes the ends of a verb, or leads on to the
//! target that the console chose.

use super::verbs::{Call, Choice, Taking, VerbEnd};
use crate::access::{Caller, Door};
use crate::id::SessionId;
use crate::identity::Identity;
use crate::proxy::channel::Chan;
use crate::proxy::connection::{Connection, Lapsed};
use crate::proxy::pumps::queue::{Item, Queue};
use crate::proxy::session::Wanted;
use crate::proxy::start::{self, Answer, Want};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// The last words of a verb wait this long for room.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// A certificate that was revoked or expired ends a verb within so long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(crate) fn start(connection: &Arc<Connection>, chan: Arc<Chan>, want: Want) -> Answer {
    let line = match want {
        Want::Shell => String::new(),
        Want::Exec(command) => match String::from_utf8(command) {
            Ok(line) => line,
            Err(_) => return Answer::Failure,
        },
        Want::Subsystem(_) => return Answer::Failure,
    };
    let connection = Arc::clone(connection);
    let tasks = connection.tasks.clone();
    tasks.spawn(async move { run(connection, chan, line).await });
    Answer::Success
}

async fn run(connection: Arc<Connection>, chan: Arc<Chan>, line: String) {
    let who = match connection.who_now() {
        Ok(who) => who,
        Err(lapsed) => {
            let text = super::say::refusal(&lapsed.to_string(), None, connection.id);
            return crate::proxy::pumps::output::say_and_end(&connection, &chan, &text).await;
        }
    };
    let caller = Caller::Person {
        who: Arc::clone(&who),
        source: connection.source,
    };
    let (call, size) = call(&connection, &chan, line);
    let verbs = Arc::clone(&connection.house.verbs);
    let end = tokio::select! {
        end = verbs.run(caller, call) => end,
        // The user is gone: the verb is dropped, and with it everything it held.
        () = chan.gone.cancelled() => return,
        () = follow_size(&chan, size) => return,
        lapsed = lapse(&connection) => {
            let mut text = super::say::refusal(&lapsed.to_string(), None, connection.id);
            if chan.terminal().is_some() {
                give_back(&chan).await;
                text.insert(0, '\n');
            }
            return crate::proxy::pumps::output::say_and_end(&connection, &chan, &text).await;
        }
    };
    match end {
        VerbEnd::Exit(code) => close(&connection, &chan, u32::from(code)).await,
        VerbEnd::Connect(choice) => connect(connection, chan, &who, choice).await,
    }
}

/// Waits until the person's certificate holds no more: who only looks is asked again as well.
async fn lapse(connection: &Connection) -> Lapsed {
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        if let Err(lapsed) = connection.who_now() {
            return lapsed;
        }
    }
}

/// A verb that drew on the terminal was dropped in the middle: the other screen is left, the cursor
/// is shown (xterm control sequences, DECSET 1049 and 25).
async fn give_back(chan: &Chan) {
    let bytes = b"\x1b[0m\x1b[?25h\x1b[?1049l".as_slice();
    let given = tokio::time::timeout(CLOSE_MAX, chan.writer.data_bytes(bytes)).await;
    if !matches!(given, Ok(Ok(()))) {
        tracing::debug!("a terminal was not given back");
    }
}

/// The console's choice becomes a session on this very channel, and ends it when it ends.
async fn connect(
    connection: Arc<Connection>,
    chan: Arc<Chan>,
    who: &Arc<Identity>,
    choice: Choice,
) {
    chan.up.put_back(&choice.typed);
    let source = connection.source.ip();
    let desk = &connection.house.desk;
    let found = desk.find(who, &choice.target, None, source, Door::Console);
    let refused = |what: &str| super::say::refusal(what, None, connection.id);
    let wanted = found
        .map_err(|denied| denied.to_user(connection.id))
        .and_then(|target| {
            let said = start::said_in_env(&chan).map_err(|what| refused(&what))?;
            Ok(Wanted {
                id: SessionId::at(connection.house.clock.now()),
                target,
                login: choice.login,
                door: Door::Console,
                said,
            })
        });
    match wanted {
        Ok(wanted) => {
            start::ask_and_run(Arc::clone(&connection), chan, Want::Shell, wanted).await;
        }
        Err(text) => crate::proxy::pumps::output::say_and_end(&connection, &chan, &text).await,
    }
}

fn call(
    connection: &Connection,
    chan: &Arc<Chan>,
    line: String,
) -> (Call, watch::Sender<(u16, u16)>) {
    let terminal = chan.terminal();
    let size = watch::Sender::new(cells(*chan.size.borrow()));
    let env = chan.setup().env.clone();
    let shown = ["TERM", "LANG", "TZ"];
    let mut env: Vec<_> = env
        .into_iter()
        .filter(|(name, _)| shown.contains(&name.as_str()))
        .collect();
    env.extend(terminal.iter().map(|t| ("TERM".to_owned(), t.term.clone())));
    let call = Call {
        line,
        input: Box::new(QueueReader::new(Arc::clone(&chan.up))),
        output: Box::new(Box::pin(chan.writer.make_writer())),
        errors: if terminal.is_some() {
            Box::new(Box::pin(chan.writer.make_writer()))
        } else {
            Box::new(Box::pin(chan.writer.make_writer_ext(Some(1))))
        },
        terminal: terminal.map(|_| size.subscribe()),
        env,
        taking: Taking::Stream,
        reference: connection.id,
    };
    (call, size)
}

fn cells((cols, rows): (u32, u32)) -> (u16, u16) {
    let narrow = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    (narrow(cols), narrow(rows))
}

/// Never returns: passes window changes on for as long as the verb runs.
async fn follow_size(chan: &Chan, size: watch::Sender<(u16, u16)>) {
    let mut changes = chan.size.subscribe();
    while changes.changed().await.is_ok() {
        size.send_replace(cells(*changes.borrow_and_update()));
    }
    std::future::pending().await
}

async fn close(connection: &Connection, chan: &Chan, status: u32) {
    let said = async {
        chan.writer.exit_status(status).await?;
        chan.writer.eof().await?;
        chan.writer.close().await
    };
    tokio::select! {
        () = chan.gone.cancelled() => {}
        said = tokio::time::timeout(CLOSE_MAX, said) => {
            if !matches!(said, Ok(Ok(()))) {
                tracing::debug!("the channel of a verb was already gone");
            }
        }
    }
    chan.up.end();
    chan.up.detach();
    connection.forget(chan);
}

/// What the person types, as a byte stream; EOF ends it.
struct QueueReader {
    queue: Arc<Queue>,
    current: Bytes,
    ended: bool,
}

impl QueueReader {
    fn new(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl AsyncRead for QueueReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        while me.current.is_empty() {
            if me.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(me.queue.poll_pop(cx)) {
                Some(Item::Data { bytes, .. }) => me.current = bytes,
                _ => me.ended = true,
            }
        }
        let n = out.remaining().min(me.current.len());
        out.put_slice(me.current.get(..n).unwrap_or_default());
        me.current.advance(n);
        me.queue.release(n);
        Poll::Ready(Ok(()))
    }
}

/// What was typed ahead of the console's choice belongs to the target.
impl Drop for QueueReader {
    fn drop(&mut self) {
        self.queue.release(self.current.len());
        self.queue.put_back(&self.current);
    }
}
