//! The right to one forward, and what is recorded of having it or not.

use crate::access::{Action, Denied, Destination};
use crate::event::{Decision, Endpoint, Entry, ForwardDeny, ForwardDirection, Kind, Outcome};
use crate::proxy::session::Session;
use crate::record;
use std::net::IpAddr;

/// What was asked for; asked again while it is used.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    pub(crate) action: Action,
    pub(crate) destination: Destination,
    pub(crate) source: IpAddr,
}

impl Right {
    /// The decision now, under the session's permit as it is now.
    pub(crate) fn ask(&self, session: &Session) -> Result<Decision, Denied> {
        self.ask_for(self.action, session)
    }

    /// May SSH that nobody can read go there?
    pub(crate) fn is_opaque(&self, session: &Session) -> bool {
        self.ask_for(Action::ForwardSsh, session).is_ok()
    }

    fn ask_for(&self, action: Action, session: &Session) -> Result<Decision, Denied> {
        let permit = session.permit().clone();
        let desk = &session.house.desk;
        desk.may_forward(
            &permit,
            action,
            self.source,
            session.door,
            &self.destination,
        )
    }

    /// Waits until it is no longer held. Cancel-safe.
    pub(crate) async fn lost(&self, session: &Session) -> Denied {
        let mut rights = session.rights();
        loop {
            if let Err(denied) = self.ask(session) {
                return denied;
            }
            if rights.changed().await.is_err() {
                // The sender is a field of this very session: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) async fn record_denial(
        &self,
        session: &Session,
        (direction, from): (ForwardDirection, Option<Endpoint>),
        denied: &Denied,
    ) -> Result<(), record::Error> {
        let kind = Kind::ForwardDeny(Box::new(ForwardDeny {
            direction,
            from,
            to: endpoint(&self.destination),
            decision: denied.decision().cloned().unwrap_or_default(),
            message: denied.to_string(),
        }));
        let entry = Entry::audit(session.tap.audit(kind, Outcome::Denied));
        session.recording.append(entry).await
    }
}

pub(crate) fn endpoint(destination: &Destination) -> Endpoint {
    match destination {
        Destination::Host { host, port } => Endpoint {
            host: Some(host.clone()),
            port: Some(*port),
            socket: None,
        },
        Destination::Socket(path) => Endpoint {
            socket: Some(path.clone()),
            ..Endpoint::default()
        },
    }
}

/// Who connected, in the words of the side that accepted it.
pub(crate) fn originator(host: &str, port: u32) -> Endpoint {
    Endpoint {
        host: Some(host.chars().take(HOST_CHARS_MAX).collect()),
        port: u16::try_from(port).ok(),
        socket: None,
    }
}

/// A claimed address is no longer than a name can be.
const HOST_CHARS_MAX: usize = 255;
