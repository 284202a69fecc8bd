//! The main door: `ssh -J bastion LOGIN@TARGET` opens a direct-tcpip channel, and the bastion answers
//! the SSH inside it itself.
//!
//! Never `Channel::into_stream()`: its bounded queue parks the outer loop. The outer channel's bytes
//! go through a [`Queue`], and a small stream over it carries the inner connection.

use crate::access::{Door, Target};
use crate::event::{Decision, Kind, Outcome, Shown};
use crate::id::TargetName;
use crate::proxy::channel::Open;
use crate::proxy::connection::{Connection, Way};
use crate::proxy::pumps::queue::{Item, Queue};
use bytes::{Buf, Bytes};
use russh::server::{self, Msg};
use russh::{Channel, ChannelWriteHalf};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::task::TaskTracker;

/// RFC 4254 §7.2 has no rule for stdio; OpenSSH's `-J` and `-W` send exactly this originator.
const STDIO_ORIGINATOR: (&str, u32) = ("127.0.0.1", 65535);
/// Jumps inside of jumps: each has buffers of its own.
const DEPTH_MAX: usize = 3;
/// How long the close of an outer channel may wait for room.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Wanted {
    pub(crate) host: String,
    pub(crate) port: u32,
    pub(crate) originator: String,
    pub(crate) originator_port: u32,
}

/// A jump that may start once its channel is confirmed.
pub(crate) struct Jump {
    id: russh::ChannelId,
    inner: Arc<Connection>,
    config: Arc<server::Config>,
    stream: JumpStream,
}

/// Finds the target and prepares the inner connection; the error is the text for the person, inside
/// the channel open failure. `first`: only the first channel can be the one of `-J` or `-W`.
pub(crate) async fn open(
    outer: &Arc<Connection>,
    channel: Channel<Msg>,
    wanted: &Wanted,
    first: bool,
) -> Result<Jump, String> {
    let target = match find(outer, wanted) {
        Ok(target) => target,
        Err(refused) => return Err(refused.record(outer, wanted).await),
    };
    let name: TargetName = wanted
        .host
        .parse()
        .map_err(|bad| format!("portcullis: `{}` is no host name: {bad}", wanted.host))?;
    let originator = (wanted.originator.as_str(), wanted.originator_port);
    let way = Way::Inner {
        outer: Arc::clone(outer),
        target,
        trusted_originator: first && originator == STDIO_ORIGINATOR,
    };
    let inner = Connection::new(Arc::clone(&outer.house), outer.source, way, None);
    let config = outer
        .house
        .hosts
        .inner(&name, inner.flow.is_tight(), outer.house.clock.now())
        .await
        .map_err(|error| {
            tracing::error!(%error, "no host certificate for a jump");
            "portcullis: the bastion cannot make a host certificate now; tell your operator"
                .to_owned()
        })?;
    let id = channel.id();
    let (reader, writer) = channel.split();
    drop(reader);
    let queue = Queue::new(Arc::clone(&outer.flow));
    let inserted = {
        let mut table = outer.table();
        let room = table.len() < outer.house.config.limits.channels;
        room && table.insert(id, Open::Jump(Arc::clone(&queue), Arc::clone(&inner.flow)))
    };
    if !inserted {
        return Err("portcullis: too many channels on one connection".to_owned());
    }
    Ok(Jump {
        id,
        inner,
        config,
        stream: JumpStream::new(queue, writer, outer.house.tasks.clone()),
    })
}

/// Why a jump is not opened: what the person reads, and what policy said, if it was asked.
struct Refused {
    message: String,
    decision: Decision,
}

impl Refused {
    fn because(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            decision: Decision::default(),
        }
    }

    /// The event, and the text of the channel open failure.
    async fn record(self, outer: &Connection, wanted: &Wanted) -> String {
        let text = format!("portcullis: {}; ref: {}", Shown(&self.message), outer.id);
        let kind = Kind::AccessDeny {
            reference: outer.id,
            decision: self.decision,
            message: format!(
                "jump to `{}` port {}: {}",
                wanted.host, wanted.port, self.message
            ),
        };
        if let Err(error) = outer.record(kind, Outcome::Denied).await {
            tracing::error!(%error, "a refused jump could not be recorded");
        }
        text
    }
}

/// Unknown and forbidden targets, and ports, are answered alike.
fn find(outer: &Connection, wanted: &Wanted) -> Result<Arc<Target>, Refused> {
    let who = outer
        .who_now()
        .map_err(|lapsed| Refused::because(&lapsed.to_string()))?;
    if depth(outer) >= DEPTH_MAX {
        return Err(Refused::because(
            "this is a jump in a jump in a jump already",
        ));
    }
    let desk = &outer.house.desk;
    // Whether one is shown inside is seen later; here it is only asked whether there is a way.
    let door = Door::Jump { certificate: true };
    let port = u16::try_from(wanted.port).unwrap_or(0);
    let found = desk.find(&who, &wanted.host, Some(port), outer.source.ip(), door);
    // A target that is listed at an address of ours is a target.
    found.map_err(|denied| match desk.targets().is_own_name(&wanted.host) {
        true => Refused::because("a jump to the bastion itself leads nowhere"),
        false => Refused {
            message: denied.to_string(),
            decision: denied.decision().cloned().unwrap_or_default(),
        },
    })
}

/// How many jumps this connection is inside of.
fn depth(connection: &Connection) -> usize {
    let mut depth = 0;
    let mut at = connection;
    while let Way::Inner { outer, .. } = &at.way {
        depth += 1;
        at = outer;
    }
    depth
}

impl Jump {
    /// The inner connection runs on the outer one's task tracker, and ends with it.
    pub(crate) fn start(self, outer: &Arc<Connection>) {
        let outer = Arc::clone(outer);
        let tasks = outer.tasks.clone();
        tasks.spawn(async move {
            let _wider = outer.flow.widen();
            let Self {
                id,
                inner,
                config,
                stream,
            } = self;
            inner.run(config, stream).await;
            outer.table().remove(id);
        });
    }
}

/// The outer channel as a byte stream.
pub(crate) struct JumpStream {
    queue: Arc<Queue>,
    current: Bytes,
    ended: bool,
    to_user: Pin<Box<dyn AsyncWrite + Send>>,
    writer: Option<ChannelWriteHalf<Msg>>,
    tasks: TaskTracker,
}

impl JumpStream {
    fn new(queue: Arc<Queue>, writer: ChannelWriteHalf<Msg>, tasks: TaskTracker) -> Self {
        Self {
            queue,
            current: Bytes::new(),
            ended: false,
            to_user: Box::pin(writer.make_writer()),
            writer: Some(writer),
            tasks,
        }
    }
}

impl AsyncRead for JumpStream {
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

impl AsyncWrite for JumpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().to_user.as_mut().poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().to_user.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().to_user.as_mut().poll_shutdown(cx)
    }
}

impl Drop for JumpStream {
    fn drop(&mut self) {
        self.queue.end();
        self.queue.detach();
        if let Some(writer) = self.writer.take() {
            self.tasks.spawn(async move {
                // Nobody is left to tell when this fails: the outer connection is gone too.
                let closed = tokio::time::timeout(CLOSE_WAIT, writer.close()).await;
                if !matches!(closed, Ok(Ok(()))) {
                    tracing::debug!("the channel of a jump was already gone");
                }
            });
        }
    }
}
