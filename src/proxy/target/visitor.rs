//! Channels that the target opens towards the user: nothing comes in but what was asked for, and
//! each is handed, unanswered, to the task that serves it.

use crate::proxy::pumps::queue::Queue;
use russh::client::{ChannelOpenHandle, Msg};
use russh::{ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Visitors that wait for the task that serves them; more are turned away.
const VISITORS: usize = 64;

/// What the target says it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// Somebody connected to the listener of a remote forward (RFC 4254 §7.2).
    Tcpip {
        /// Of the listener, as the target says it.
        port: u32,
        originator: String,
        originator_port: u32,
    },
    /// The same at a unix socket (PROTOCOL 2.4).
    Socket { path: String },
    /// Somebody wants the person's agent (PROTOCOL.agent, `auth-agent@openssh.com`).
    Agent,
}

impl Knock {
    /// As RFC 4254 and PROTOCOL call it.
    pub(crate) fn channel_type(&self) -> &'static str {
        match self {
            Self::Tcpip { .. } => "forwarded-tcpip",
            Self::Socket { .. } => "forwarded-streamlocal",
            Self::Agent => "auth-agent",
        }
    }
}

/// One opened channel. It has to be answered; dropping it refuses.
pub(crate) struct Visitor {
    pub(crate) knock: Knock,
    pub(crate) down: Arc<Queue>,
    pub(crate) writer: ChannelWriteHalf<Msg>,
    reply: ChannelOpenHandle,
    opened: Opened,
}

impl Visitor {
    pub(crate) fn new(
        knock: Knock,
        down: Arc<Queue>,
        writer: ChannelWriteHalf<Msg>,
        reply: ChannelOpenHandle,
        opened: Opened,
    ) -> Self {
        // Nothing comes before it is accepted, so its queue is in time.
        opened.insert(writer.id(), Arc::clone(&down));
        Self {
            knock,
            down,
            writer,
            reply,
            opened,
        }
    }

    /// From here on its bytes come in.
    pub(crate) async fn accept(self) -> (Arc<Queue>, ChannelWriteHalf<Msg>) {
        self.reply.accept().await;
        (self.down, self.writer)
    }

    pub(crate) async fn refuse(self, reason: ChannelOpenFailure) {
        self.opened.remove(self.writer.id());
        self.reply.reject(reason).await;
    }
}

/// Who may come, and where they wait. `expects` says whether somebody asked for it.
pub(crate) struct Porch {
    pub(crate) expects: Box<dyn Fn(&Knock) -> bool + Send + Sync>,
    visitors: mpsc::Sender<Visitor>,
}

impl Porch {
    /// The receiving half belongs to the task that serves them.
    pub(crate) fn new(
        expects: impl Fn(&Knock) -> bool + Send + Sync + 'static,
    ) -> (Self, mpsc::Receiver<Visitor>) {
        let (visitors, served) = mpsc::channel(VISITORS);
        let porch = Self {
            expects: Box::new(expects),
            visitors,
        };
        (porch, served)
    }

    /// Hands it on; full or nobody there any more turns it away.
    pub(crate) async fn let_in(&self, visitor: Visitor) {
        if let Err(error) = self.visitors.try_send(visitor) {
            let (mpsc::error::TrySendError::Full(visitor)
            | mpsc::error::TrySendError::Closed(visitor)) = error;
            visitor.refuse(ChannelOpenFailure::ResourceShortage).await;
        }
    }
}

/// The queues of channels that the target opened, by russh's id.
#[derive(Clone, Default)]
pub(crate) struct Opened(Arc<Mutex<HashMap<ChannelId, Arc<Queue>>>>);

impl Opened {
    fn table(&self) -> MutexGuard<'_, HashMap<ChannelId, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, id: ChannelId, queue: Arc<Queue>) {
        self.table().insert(id, queue);
    }

    pub(crate) fn get(&self, id: ChannelId) -> Option<Arc<Queue>> {
        self.table().get(&id).cloned()
    }

    /// Its channel is over: gives its count back.
    pub(crate) fn remove(&self, id: ChannelId) {
        if let Some(queue) = self.table().remove(&id) {
            queue.end();
            queue.detach();
        }
    }

    /// The connection is over.
    pub(crate) fn end(&self) {
        for (_, queue) in self.table().drain() {
            queue.end();
        }
    }
}
