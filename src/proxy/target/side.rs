//! russh's callbacks of the target side: bytes and results go into the channel's down queue.
//!
//! Whatever the target opens unasked is refused, and is worth an alert: an honest sshd opens nothing
//! that nobody asked for.

use super::hostkey::HostVerifier;
use super::visitor::{Knock, Opened, Porch, Visitor};
use crate::event::{Entry, Kind, Outcome, Severity};
use crate::inspect::files::Only;
use crate::proxy::forward::agent::AgentDoor;
use crate::proxy::pumps::flow::Flow;
use crate::proxy::pumps::queue::{Item, Queue};
use crate::proxy::start::Want;
use crate::proxy::tap::{self, Tap};
use crate::record::Recording;
use russh::client::{ChannelOpenHandle, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Sig, client};
use std::cmp::Ordering;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Answers of the target nobody has waited for yet.
const REPLIES: usize = 16;

/// Channels opened unasked that a connection to a target may have refused.
const UNASKED_MAX: u32 = 32;
const PROHIBITED: ChannelOpenFailure = ChannelOpenFailure::AdministrativelyProhibited;

/// Of what the target says about itself, more is cut.
const NAME_CHARS_MAX: usize = 255;

/// One connection to the target: it carries one channel of the user (docs/architecture.md "Flow control").
pub(crate) struct Leg {
    pub(crate) handle: client::Handle<TargetSide>,
    pub(crate) writer: Arc<ChannelWriteHalf<Msg>>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) down: Arc<Queue>,
    pub(crate) replies: mpsc::Receiver<bool>,
    /// The connection to the target is over.
    pub(crate) gone: CancellationToken,
    /// The terminal's size; what the target was told is marked as seen.
    pub(crate) size: watch::Receiver<(u32, u32)>,
    /// What runs there: what was asked for, or the certificate's forced command.
    pub(crate) want: Want,
    /// Half of SFTP is allowed.
    pub(crate) only: Option<Only>,
    /// The person's agent may be used from there.
    pub(crate) agent: Option<AgentDoor>,
    /// Channels that the target opened.
    pub(crate) opened: Opened,
}

pub(crate) struct TargetSide {
    down: Arc<Queue>,
    replies: mpsc::Sender<bool>,
    gone: CancellationToken,
    verifier: Arc<HostVerifier>,
    recording: Recording,
    tap: Tap,
    /// The one channel that we open.
    own: Option<ChannelId>,
    /// What it may open, and where that goes.
    porch: Option<Porch>,
    opened: Opened,
    flow: Option<Arc<Flow>>,
    /// Channels that it opened unasked.
    unasked: u32,
    /// What it said when it refused our channel.
    refusal: watch::Sender<Option<String>>,
}

impl TargetSide {
    pub(crate) fn new(
        down: Arc<Queue>,
        gone: CancellationToken,
        verifier: Arc<HostVerifier>,
        recording: Recording,
        tap: Tap,
    ) -> (Self, mpsc::Receiver<bool>) {
        let (replies, answers) = mpsc::channel(REPLIES);
        let side = Self {
            down,
            replies,
            gone,
            verifier,
            recording,
            tap,
            own: None,
            porch: None,
            opened: Opened::default(),
            flow: None,
            unasked: 0,
            refusal: watch::Sender::new(None),
        };
        (side, answers)
    }

    /// Channels that the target opens come to `porch`, their bytes to the queues in `opened`.
    pub(crate) fn receive(&mut self, porch: Option<Porch>, opened: Opened, flow: Arc<Flow>) {
        self.porch = porch;
        self.opened = opened;
        self.flow = Some(flow);
    }

    pub(crate) fn refusal(&self) -> watch::Receiver<Option<String>> {
        self.refusal.subscribe()
    }

    /// Lets in what somebody asked for; the rest is refused and an alert.
    async fn knocked(&mut self, knock: Knock, channel: Channel<Msg>, reply: ChannelOpenHandle) {
        match (&self.porch, &self.flow) {
            (Some(porch), Some(flow)) if (porch.expects)(&knock) => {
                let (reader, writer) = channel.split();
                // With the read half gone nothing parks russh's loop: bytes come through `data` only.
                drop(reader);
                let down = Queue::new(Arc::clone(flow));
                let visitor = Visitor::new(knock, down, writer, reply, self.opened.clone());
                porch.let_in(visitor).await;
            }
            (Some(_) | None, _) => self.refuse(knock.channel_type(), reply).await,
        }
    }

    /// Of our channel, or of one that the target opened. What still comes for a channel that is over
    /// belongs nowhere.
    fn queue(&self, id: ChannelId) -> Option<Arc<Queue>> {
        match self.own == Some(id) {
            true => Some(Arc::clone(&self.down)),
            false => self.opened.get(id),
        }
    }

    fn push(&self, id: ChannelId, item: Item) {
        if let Some(queue) = self.queue(id) {
            queue.push(item);
        }
    }

    /// An alert each, but not without end: a target that goes on is cut off, or its alerts would
    /// bury those of others and fill the disk.
    async fn refuse(&mut self, what: &str, reply: ChannelOpenHandle) {
        self.unasked = self.unasked.saturating_add(1);
        let mut message = format!("the target opened a {what} channel that nobody asked for");
        match self.unasked.cmp(&UNASKED_MAX) {
            Ordering::Less => {}
            Ordering::Equal => {
                message.push_str(", for so many times that the connection to it ends");
                if let Some(flow) = &self.flow {
                    flow.kill();
                }
            }
            // What was on its way before the end came through.
            Ordering::Greater => return reply.reject(PROHIBITED).await,
        }
        let kind = Kind::Alert {
            severity: Severity::High,
            note: tap::note("target_opened_channel", message, self.recording.id()),
        };
        let alert = Entry::audit(self.tap.audit(kind, Outcome::Denied));
        if let Err(error) = self.recording.append(alert).await {
            tracing::error!(%error, "an alert could not be recorded");
        }
        reply.reject(PROHIBITED).await;
    }

    fn take(&self, id: ChannelId, data: &[u8], stderr: bool) {
        let taken = self
            .queue(id)
            .is_some_and(|queue| queue.push_data(data, stderr));
        if !taken {
            tracing::debug!("the target sent data after its end");
        }
    }

    fn answer(&self, yes: bool) {
        // Full means that nobody asked: an answer too many is the target's mistake.
        if self.replies.try_send(yes).is_err() {
            tracing::debug!("the target answered a request that nobody made");
        }
    }
}

impl Drop for TargetSide {
    fn drop(&mut self) {
        self.down.end();
        self.opened.end();
        self.gone.cancel();
    }
}

impl Handler for TargetSide {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(self.verifier.verify(presented))
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.own = Some(id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.take(id, data, false);
        Ok(())
    }

    async fn extended_data(
        &mut self,
        id: ChannelId,
        _code: u32,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.take(id, data, true);
        Ok(())
    }

    async fn channel_success(&mut self, _: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.answer(true);
        Ok(())
    }

    async fn channel_failure(&mut self, _: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.answer(false);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.push(id, Item::Eof);
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.push(id, Item::Close);
        Ok(())
    }

    async fn exit_status(
        &mut self,
        id: ChannelId,
        status: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.push(id, Item::ExitStatus(status));
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        core: bool,
        _message: &str,
        _language: &str,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let signal = crate::proxy::pumps::relay::bounded_signal(signal);
        self.push(id, Item::ExitSignal { signal, core });
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let said = description.chars().take(NAME_CHARS_MAX).collect();
        self.refusal.send_replace(Some(said));
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let knock = Knock::Tcpip {
            port,
            originator: originator.chars().take(NAME_CHARS_MAX).collect(),
            originator_port,
        };
        self.knocked(knock, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let path = path.chars().take(NAME_CHARS_MAX).collect();
        self.knocked(Knock::Socket { path }, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.knocked(Knock::Agent, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("session", reply).await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("direct-tcpip", reply).await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("direct-streamlocal", reply).await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("x11", reply).await;
        Ok(())
    }
}
