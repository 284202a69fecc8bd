//! One connection to the demo's target, as russh calls it.

use super::admission::Admission;
use super::child::{self, Ends, Wanted};
use super::inbox::{HIGH_BYTES, Inbox};
use crate::clock::Clock;
use russh::keys::ssh_key::Certificate;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session};
use russh::{Channel, ChannelId, ChannelWriteHalf, Pty, Sig};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Channels of one connection. The bastion opens one.
const CHANNELS_MAX: usize = 16;
/// Variables of one channel, and bytes of each.
const ENV_MAX: usize = 128;
const ENV_BYTES_MAX: usize = 4096;
/// Signals that wait for the child; more are dropped, as a busy process would not notice them.
const SIGNALS_MAX: usize = 8;
/// Window for a child that reads, and for one that does not (docs/architecture.md "Flow control": 2 keeps the
/// question coming, 1 would close the channel for ever).
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const WINDOW_TRICKLE_BYTES: u32 = 2;
/// How long a trickled packet waits for the child, so that nobody spins.
const TRICKLE_WAIT: Duration = Duration::from_millis(10);

/// Dropping it, with its connection, ends its children.
pub(super) struct Visitor {
    admission: Arc<Admission>,
    clock: Clock,
    source: IpAddr,
    pty_allowed: bool,
    seats: BTreeMap<ChannelId, Seat>,
    children: JoinSet<()>,
}

/// One channel.
struct Seat {
    wanted: Option<Wanted>,
    output: Arc<ChannelWriteHalf<Msg>>,
    inbox: Arc<Inbox>,
    resize: watch::Sender<child::Size>,
    signals: mpsc::Sender<Signal>,
    signalled: Option<mpsc::Receiver<Signal>>,
    /// Drops with the seat and so ends the child of a channel that was closed.
    child: Option<tokio::task::AbortHandle>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            child.abort();
        }
    }
}

impl Visitor {
    pub(super) fn new(admission: Arc<Admission>, clock: Clock, source: IpAddr) -> Self {
        Self {
            admission,
            clock,
            source,
            pty_allowed: false,
            seats: BTreeMap::new(),
            children: JoinSet::new(),
        }
    }

    fn start(
        &mut self,
        id: ChannelId,
        command: Option<Vec<u8>>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let started = self.seats.get_mut(&id).and_then(|seat| {
            let wanted = seat.wanted.take()?;
            Some((seat, wanted))
        });
        // RFC 4254 §6.5: one shell or command a channel.
        let Some((seat, mut wanted)) = started else {
            return session.channel_failure(id);
        };
        let Some(signals) = seat.signalled.take() else {
            return session.channel_failure(id);
        };
        wanted.command = command;
        let ends = Ends {
            channel: id,
            output: Arc::clone(&seat.output),
            connection: session.handle(),
            inbox: Arc::clone(&seat.inbox),
            signals,
        };
        session.channel_success(id)?;
        seat.child = Some(self.children.spawn(child::run(wanted, ends)));
        Ok(())
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _login: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        // The signature comes first, then the certificate is looked at; plain keys fail there.
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(
        &mut self,
        login: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let now = self.clock.now();
        match self.admission.check(login, certificate, self.source, now) {
            Ok(admitted) => {
                self.pty_allowed = admitted.pty;
                Ok(Auth::Accept)
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "the demo's target refused a certificate");
                Ok(Auth::reject())
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.seats.len() >= CHANNELS_MAX {
            return Ok(()); // dropping the reply refuses the channel
        }
        let id = channel.id();
        // With the read half dropped all bytes come through `data`, and nothing parks the loop.
        let (_, output) = channel.split();
        let (signals, signalled) = mpsc::channel(SIGNALS_MAX);
        let seat = Seat {
            wanted: Some(Wanted::default()),
            output: Arc::new(output),
            inbox: Arc::new(Inbox::default()),
            resize: watch::channel((80, 24)).0,
            signals,
            signalled: Some(signalled),
            child: None,
        };
        self.seats.insert(id, seat);
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let allowed = self.pty_allowed;
        let Some(seat) = self.seats.get_mut(&id).filter(|_| allowed) else {
            return session.channel_failure(id);
        };
        let Some(wanted) = seat.wanted.as_mut() else {
            return session.channel_failure(id);
        };
        wanted.terminal = Some((term.to_owned(), seat.resize.subscribe()));
        seat.resize.send_replace(size_of(columns, rows));
        session.channel_success(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let wanted = self
            .seats
            .get_mut(&id)
            .and_then(|seat| seat.wanted.as_mut());
        let is_locale = name == "LANG" || name.starts_with("LC_");
        let fits = name.len() + value.len() <= ENV_BYTES_MAX && !value.contains('\0');
        match wanted.filter(|wanted| is_locale && fits && wanted.env.len() < ENV_MAX) {
            Some(wanted) => {
                wanted.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(id)
            }
            None => session.channel_failure(id),
        }
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(id, None, session)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if command.contains(&0) {
            return session.channel_failure(id);
        }
        self.start(id, Some(command.to_vec()), session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(seat) = self.seats.get(&id) {
            seat.resize.send_replace(size_of(columns, rows));
        }
        Ok(())
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let seat = self.seats.get(&id);
        if let Some((seat, signal)) = seat.zip(child::signal_of(&signal))
            && seat.signals.try_send(signal).is_err()
        {
            tracing::debug!("a signal came too late or too often");
        }
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(seat) = self.seats.get(&id) else {
            return Ok(());
        };
        seat.inbox.put(data).map_err(|_| russh::Error::Disconnect)?;
        if seat.inbox.len() > HIGH_BYTES {
            // Bounded, so that the loop goes on and our own output is never locked out by input.
            let waited = tokio::time::timeout(TRICKLE_WAIT, seat.inbox.drained()).await;
            tracing::trace!(drained = waited.is_ok(), "a child that does not read");
        }
        Ok(())
    }

    fn adjust_window(&mut self, _id: ChannelId, _current: u32) -> u32 {
        let waiting: usize = self.seats.values().map(|seat| seat.inbox.len()).sum();
        if waiting > HIGH_BYTES {
            WINDOW_TRICKLE_BYTES
        } else {
            WINDOW_BYTES
        }
    }

    async fn channel_eof(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(seat) = self.seats.get(&id) {
            seat.inbox.end();
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seats.remove(&id);
        Ok(())
    }
}

/// A terminal of 0 x 0 (no terminal on the user's side) becomes the usual one.
fn size_of(columns: u32, rows: u32) -> child::Size {
    let or = |given: u32, usual| match u16::try_from(given) {
        Ok(given @ 1..) => given,
        Ok(0) | Err(_) => usual,
    };
    (or(columns, 80), or(rows, 24))
}
