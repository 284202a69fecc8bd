//! Who comes in at a remote forward's listener, and on what words they come.

use super::arrive;
use super::label::Labeller;
use super::listener::DIRECTION;
use super::pump::{Forward, TargetEnd, closed, nothing};
use super::right::{Right, endpoint, originator};
use crate::access::{BadDestination, Destination};
use crate::event::{Decision, Endpoint, Entry, Forward as Fact, ForwardEnd, Kind, Outcome};
use crate::proxy::connection::Connection;
use crate::proxy::session::Session;
use crate::proxy::target::visitor::{Knock, Visitor};
use russh::ChannelOpenFailure;
use std::sync::Arc;

/// What the user's side asked for, as it said it: its own words come back to it in every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Tcp { address: String, port: u32 },
    Socket(String),
}

impl Bound {
    pub(super) fn destination(&self) -> Result<Destination, BadDestination> {
        match self {
            Self::Tcp { address, port } => Destination::listener(address, *port),
            Self::Socket(path) => Destination::socket(path),
        }
    }

    /// With the port that the target chose.
    pub(super) fn at(&self, chosen: u32) -> Self {
        match self {
            Self::Tcp { address, port } => Self::Tcp {
                address: address.clone(),
                port: if *port == 0 { chosen } else { *port },
            },
            Self::Socket(path) => Self::Socket(path.clone()),
        }
    }
}

/// Somebody who connected to a listener.
pub(super) struct Guest {
    pub(super) connection: Arc<Connection>,
    pub(super) session: Arc<Session>,
    pub(super) right: Right,
    pub(super) decision: Decision,
    pub(super) bound: Bound,
}

impl Guest {
    /// The user is asked first, then the target is told.
    pub(super) async fn come(self, visitor: Visitor) {
        let from = match &visitor.knock {
            Knock::Tcpip {
                originator: host,
                originator_port,
                ..
            } => Some(originator(host, *originator_port)),
            Knock::Socket { .. } | Knock::Agent => None,
        };
        let user = arrive::open(&self.connection, self.opening(from.as_ref())).await;
        let user = match user {
            Ok(user) => user,
            Err(reason) => {
                let message = format!("the user's side did not take it: {reason:?}");
                visitor.refuse(reason).await;
                self.record_refused(message).await;
                return;
            }
        };
        self.session.note_channel();
        let fact = Kind::ForwardOpen(Box::new(Fact {
            direction: DIRECTION,
            from,
            to: bound_at(&self.bound, &self.right.destination),
            decision: self.decision.clone(),
            opaque: false,
        }));
        let entry = self.session.tap.on(user.id, fact, Outcome::Success);
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "a forward was not recorded and is refused");
            self.connection.table().close(user.writer.id());
            visitor.refuse(ChannelOpenFailure::ConnectFailed).await;
            return;
        }
        let (down, writer) = visitor.accept().await;
        let label = Labeller::new(DIRECTION, self.right.is_opaque(&self.session));
        let forward = Forward {
            label,
            connection: self.connection,
            session: self.session,
            direction: DIRECTION,
            right: self.right,
            user,
            target: TargetEnd { down, writer },
        };
        forward.run().await;
    }

    async fn opening(
        &self,
        from: Option<&Endpoint>,
    ) -> Result<russh::Channel<russh::server::Msg>, russh::Error> {
        let handle = self.connection.handle().ok_or(russh::Error::Disconnect)?;
        match &self.bound {
            Bound::Tcp { address, port } => {
                let host = from.and_then(|from| from.host.clone()).unwrap_or_default();
                let port_from = from.and_then(|from| from.port).unwrap_or(0);
                handle
                    .channel_open_forwarded_tcpip(address.as_str(), *port, host, port_from.into())
                    .await
            }
            Bound::Socket(path) => {
                handle
                    .channel_open_forwarded_streamlocal(path.as_str())
                    .await
            }
        }
    }

    async fn record_refused(&self, message: String) {
        let end = (ForwardEnd::Refused, Some(message));
        let close = closed((DIRECTION, &self.right), nothing(), None, end);
        let entry = Entry::audit(self.session.tap.audit(close, Outcome::Failure));
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "a refused forward was not recorded");
        }
    }
}

/// The listener with the port that it really has.
pub(super) fn bound_at(bound: &Bound, place: &Destination) -> Endpoint {
    let mut at = endpoint(place);
    if let Bound::Tcp { port, .. } = bound {
        at.port = u16::try_from(*port).ok();
    }
    at
}
