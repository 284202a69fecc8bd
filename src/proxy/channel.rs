//! One channel of the user side: what was asked for before its target was dialled, and the way to
//! its pumps.

use super::pumps::queue::{Item, Queue};
use super::pumps::relay::Control;
use crate::event::{Pty, TerminalMode};
use crate::id::ChannelId;
use russh::server::Msg;
use russh::{ChannelWriteHalf, Pty as PtyMode};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// RFC 4254 §6.2, kept until the target is there.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    pub(crate) term: String,
    pub(crate) cols: u32,
    pub(crate) rows: u32,
    pub(crate) modes: Vec<(PtyMode, u32)>,
}

impl Terminal {
    pub(crate) fn fact(&self) -> Pty {
        Pty {
            term: self.term.clone(),
            cols: self.cols,
            rows: self.rows,
            modes: self
                .modes
                .iter()
                .map(|(mode, value)| TerminalMode {
                    opcode: *mode as u8,
                    value: *value,
                })
                .collect(),
        }
    }
}

/// Requests that OpenSSH sends before the one that needs the target.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) terminal: Option<Terminal>,
    pub(crate) env: Vec<(String, String)>,
    /// Agent forwarding and the like were asked for and refused: said when the channel can speak.
    pub(crate) refused: Vec<String>,
    /// The client asked that its agent be forwarded.
    pub(crate) agent: bool,
    pub(crate) started: bool,
}

pub(crate) struct Chan {
    pub(crate) id: ChannelId,
    /// User to target.
    pub(crate) up: Arc<Queue>,
    /// The way back to the user. Only the channel's one task writes.
    pub(crate) writer: ChannelWriteHalf<Msg>,
    /// The user's channel is over: nothing can be written to it any more.
    pub(crate) gone: CancellationToken,
    /// The whole connection is over.
    pub(crate) connection_gone: AtomicBool,
    pub(crate) user_eof: AtomicBool,
    /// Size in characters, for verbs; and what a running relay is told.
    pub(crate) size: watch::Sender<(u32, u32)>,
    control: Mutex<Option<Control>>,
    setup: Mutex<Setup>,
}

impl Chan {
    pub(crate) fn new(id: ChannelId, up: Arc<Queue>, writer: ChannelWriteHalf<Msg>) -> Arc<Self> {
        Arc::new(Self {
            id,
            up,
            writer,
            gone: CancellationToken::new(),
            connection_gone: AtomicBool::new(false),
            user_eof: AtomicBool::new(false),
            size: watch::Sender::new((0, 0)),
            control: Mutex::new(None),
            setup: Mutex::new(Setup::default()),
        })
    }

    pub(crate) fn setup(&self) -> MutexGuard<'_, Setup> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn terminal(&self) -> Option<Terminal> {
        self.setup().terminal.clone()
    }

    pub(crate) fn control(&self) -> MutexGuard<'_, Option<Control>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user closed the channel, or the connection went with it.
    pub(crate) fn close(&self, with_connection: bool) {
        if with_connection {
            self.connection_gone.store(true, Ordering::SeqCst);
        }
        self.up.push(Item::Close);
        self.up.end();
        self.up.detach();
        self.gone.cancel();
    }
}

/// The connection is over.
#[derive(Debug)]
pub(crate) struct Gone;

/// The open channels of one connection, by russh's id.
#[derive(Default)]
pub(crate) struct Table {
    gone: bool,
    open: HashMap<russh::ChannelId, Open>,
    /// Places of channels that are not open yet.
    reserved: usize,
    /// Opened by us and confirmed by the user, until their task takes them.
    confirmed: HashMap<russh::ChannelId, Arc<Lane>>,
    next: u32,
}

#[derive(Clone)]
pub(crate) enum Open {
    Session(Arc<Chan>),
    /// SSH inside: its bytes, and the flow of the connection in it.
    Jump(Arc<Queue>, Arc<super::pumps::flow::Flow>),
    Forward(Arc<Lane>),
}

/// The user's side of a forwarded channel, as russh's callbacks see it.
pub(crate) struct Lane {
    /// User to target.
    pub(crate) up: Arc<Queue>,
    /// The user's channel is over: nothing can be written to it any more.
    pub(crate) gone: CancellationToken,
}

impl Lane {
    pub(crate) fn new(up: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            up,
            gone: CancellationToken::new(),
        })
    }

    fn close(&self) {
        self.up.push(Item::Close);
        self.up.end();
        self.up.detach();
        self.gone.cancel();
    }
}

impl Open {
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        match self {
            Self::Session(chan) => &chan.up,
            Self::Jump(queue, _) => queue,
            Self::Forward(lane) => &lane.up,
        }
    }

    fn close(&self, with_connection: bool) {
        match self {
            Self::Session(chan) => chan.close(with_connection),
            Self::Jump(queue, inner) => {
                queue.end();
                queue.detach();
                inner.kill();
            }
            Self::Forward(lane) => lane.close(),
        }
    }
}

impl Table {
    /// Our own number for the next channel of this connection.
    pub(crate) fn number(&mut self) -> ChannelId {
        let number = ChannelId(self.next);
        self.next = self.next.saturating_add(1);
        number
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len() + self.reserved
    }

    /// A place for a channel that is to come; false when all `max` are taken.
    pub(crate) fn reserve(&mut self, max: usize) -> bool {
        let room = self.len() < max && !self.gone;
        self.reserved += usize::from(room);
        room
    }

    pub(crate) fn unreserve(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// The user confirmed a channel that we opened: its bytes may come from here on.
    pub(crate) fn confirm(&mut self, id: russh::ChannelId, lane: Arc<Lane>) {
        if self.insert(id, Open::Forward(Arc::clone(&lane))) {
            self.confirmed.insert(id, lane);
        }
    }

    /// What was confirmed, once; an error when the connection is over.
    pub(crate) fn claim(&mut self, id: russh::ChannelId) -> Result<Option<Arc<Lane>>, Gone> {
        match self.confirmed.remove(&id) {
            None if self.gone => Err(Gone),
            lane => Ok(lane),
        }
    }

    /// False when the connection is already over: the caller must not start anything.
    pub(crate) fn insert(&mut self, id: russh::ChannelId, open: Open) -> bool {
        if !self.gone {
            self.open.insert(id, open);
        }
        !self.gone
    }

    pub(crate) fn get(&self, id: russh::ChannelId) -> Option<Open> {
        self.open.get(&id).cloned()
    }

    pub(crate) fn remove(&mut self, id: russh::ChannelId) {
        self.open.remove(&id);
    }

    pub(crate) fn close(&mut self, id: russh::ChannelId) {
        if let Some(open) = self.open.remove(&id) {
            open.close(false);
        }
    }

    pub(crate) fn close_all(&mut self) {
        self.gone = true;
        self.confirmed.clear();
        for (_, open) in self.open.drain() {
            open.close(true);
        }
    }
}
