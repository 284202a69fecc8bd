//! What russh's callbacks of the user side work on: the connection, and the way from a packet to its
//! channel's queue. handler.rs is the list of callbacks.

use crate::event::{End, Kind, Note, Outcome};
use crate::proxy::channel::{Chan, Open};
use crate::proxy::connection::Connection;
use crate::proxy::forward::local::Asked;
use crate::proxy::forward::{self, Bound};
use crate::proxy::pumps::queue::Queue;
use crate::proxy::start::{self, Answer, Want};
use crate::proxy::tap;
use russh::server::{ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use std::sync::Arc;

/// Why a connection's callbacks gave up; russh then closes it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("SSH protocol: {0}")]
    Ssh(#[from] russh::Error),
    #[error("the peer ignored the window it was given")]
    Overrun,
    #[error("too many keys were offered")]
    Offers,
}

impl Fault {
    /// What that means for a session.
    pub(crate) fn end(&self) -> End {
        match self {
            Self::Ssh(russh::Error::Disconnect) => End::UserExit,
            Self::Ssh(_) | Self::Overrun | Self::Offers => End::Network,
        }
    }

    /// What only a client that breaks the rules causes, as opposed to a network that breaks.
    pub(crate) fn breaks_the_rules(&self) -> bool {
        matches!(
            self,
            Self::Overrun
                | Self::Ssh(
                    russh::Error::Version
                        | russh::Error::KexInit
                        | russh::Error::PacketAuth
                        | russh::Error::PacketSize(_)
                        | russh::Error::Inconsistent
                        | russh::Error::IndexOutOfBounds
                        | russh::Error::WrongChannel
                        | russh::Error::DecryptionError
                        | russh::Error::StrictKeyExchangeViolation { .. }
                        | russh::Error::Utf8(_)
                        | russh::Error::SshKey(_)
                        | russh::Error::SshEncoding(_)
                )
        )
    }
}

/// Limits of one connection that its callbacks keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Offers,
    Channels,
    Env,
    /// What a client must not send: data after EOF, standard error.
    Protocol,
}

/// Which of them were an event.
#[derive(Debug, Default)]
struct Told {
    offers: bool,
    channels: bool,
    env: bool,
    protocol: bool,
}

pub(crate) struct UserSide {
    pub(crate) connection: Arc<Connection>,
    /// The channel of the last data packet: bulk data finds its queue without the table's lock.
    pub(crate) last: Option<(ChannelId, Arc<Queue>)>,
    told: Told,
    /// The node has no memory left for what this connection sends.
    exhausted: bool,
}

impl UserSide {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            last: None,
            told: Told::default(),
            exhausted: false,
        }
    }

    pub(crate) fn chan(&self, id: ChannelId) -> Option<Arc<Chan>> {
        match self.connection.open(id)? {
            Open::Session(chan) => Some(chan),
            Open::Jump(..) | Open::Forward(_) => None,
        }
    }

    /// Data for a channel, in its order; false when the channel takes none any more.
    pub(crate) fn take_data(&mut self, id: ChannelId, data: &[u8]) -> Result<bool, Fault> {
        let flow = &self.connection.flow;
        flow.note_data();
        if self.exhausted {
            // It is being ended: nothing of this may go on behind what is missing.
            return Ok(true);
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last != id) {
            let open = self.connection.open(id);
            self.last = open.map(|open| (id, Arc::clone(open.queue())));
        }
        let taken = match &self.last {
            Some((_, queue)) => queue.push_data(data, false),
            None => true,
        };
        if flow.overrun(self.connection.table().len()) {
            return Err(Fault::Overrun);
        }
        if flow.exhausts() {
            self.exhausted = true;
            self.connection.house.limiter.note_memory_exceeded();
            let ending = Arc::clone(&self.connection);
            self.connection
                .tasks
                .spawn(async move { ending.end_sessions(End::Network, NO_MEMORY).await });
        }
        Ok(taken)
    }

    pub(crate) async fn request(
        &mut self,
        id: ChannelId,
        want: Want,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        let answer = match self.chan(id) {
            Some(chan) => start::start(&self.connection, chan, want).await,
            None => Answer::Failure,
        };
        match answer {
            Answer::Success => session.channel_success(id)?,
            Answer::Failure => session.channel_failure(id)?,
        }
        Ok(())
    }

    pub(crate) async fn refuse_channel(&mut self, reply: ChannelOpenHandle) {
        let reason = format!(
            "portcullis: too many channels on one connection (at most {})",
            self.connection.house.config.limits.channels
        );
        self.record_limit(Limit::Channels, &reason).await;
        let code = RESOURCE_SHORTAGE;
        reply
            .reject(ChannelOpenFailure::Other { code, reason })
            .await;
    }

    /// A jump or a forward: a task of its own answers.
    pub(crate) async fn open_forward(
        &mut self,
        channel: Channel<Msg>,
        asked: Asked,
        reply: ChannelOpenHandle,
    ) {
        self.connection.flow.note_activity();
        // Asked of every channel: only the first can be the one of `-J` or `-W`.
        let first = self.connection.is_first_word();
        match self.connection.reserve() {
            Some(place) => {
                forward::local::open(&self.connection, channel, (asked, first), place, reply);
            }
            None => self.refuse_channel(reply).await,
        }
    }

    /// The port of the listener, 0 for a socket.
    pub(crate) async fn listen(&mut self, bound: Bound) -> Option<u32> {
        self.connection.flow.note_activity();
        forward::listen(&self.connection, bound).await
    }

    /// Refused; the person reads why when the channel can speak.
    pub(crate) async fn refuse_later(&self, id: ChannelId, what: &'static str) {
        if let Some(chan) = self.chan(id) {
            chan.setup().refused.push(what.to_owned());
        }
        self.record_refused(what).await;
    }

    pub(crate) async fn record_refused(&self, what: &str) {
        let note = tap::note("refused_request", what, self.connection.id);
        self.record(note).await;
    }

    /// Past a limit: the first time on a connection is an event, each time is counted.
    pub(crate) async fn record_limit(&mut self, limit: Limit, what: &str) {
        let limiter = &self.connection.house.limiter;
        let (code, told) = match limit {
            Limit::Offers => {
                limiter.note_offers_exceeded();
                ("too_many_offers", &mut self.told.offers)
            }
            Limit::Channels => {
                limiter.note_channels_exceeded();
                ("too_many_channels", &mut self.told.channels)
            }
            Limit::Env => {
                limiter.note_env_refused();
                ("too_many_env", &mut self.told.env)
            }
            Limit::Protocol => ("protocol", &mut self.told.protocol),
        };
        if !std::mem::replace(told, true) {
            let note = tap::note(code, what, self.connection.id);
            self.record(note).await;
        }
    }

    async fn record(&self, note: Note) {
        let recorded = self
            .connection
            .record(Kind::Error(note), Outcome::Denied)
            .await;
        if let Err(error) = recorded {
            tracing::error!(%error, "a refused request could not be recorded");
        }
    }
}

impl Drop for UserSide {
    fn drop(&mut self) {
        self.connection.close_all();
        self.connection.flow.kill();
    }
}

const NO_MEMORY: &str = "too much waits on this bastion for slow targets, and much of it is yours: try \
     again later, or tell your operator of `[limits] memory`";
/// RFC 4254 §5.1.
const RESOURCE_SHORTAGE: u32 = 4;
pub(crate) const NO_X11: &str = "X11 forwarding is not available on this bastion";
