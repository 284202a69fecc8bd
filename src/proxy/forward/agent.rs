//! The person's agent, used from the target: the right to it, and who comes for it there.
//!
//! ```text
//! program on the target ──> auth-agent channel ──> filter, append ──> the person's agent
//!                       <── append, filter     <──────────────────────
//! ```
//! `agent_talk.rs` is one such conversation.

use super::agent_talk::Conversation;
use super::arrive;
use crate::access::{Action, Denied};
use crate::event::{AgentClose, AgentEnd, Decision, Kind, Outcome};
use crate::id::ChannelId;
use crate::proxy::connection::{Connection, denial};
use crate::proxy::session::Session;
use crate::proxy::target::visitor::{Knock, Opened, Porch, Visitor};
use crate::record;
use russh::ChannelOpenFailure;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// At once over one channel of the user: a build that signs with sixteen jobs.
const CONVERSATIONS_MAX: usize = 16;

/// What became of the person's wish.
pub(crate) enum Forwarding {
    Allowed(Decision),
    /// What they read about it.
    Refused(String),
}

/// Asked for with `-A`: the decision is recorded either way, and the rest of the session goes on.
pub(crate) async fn allow(
    session: &Session,
    channel: ChannelId,
) -> Result<Forwarding, record::Error> {
    let denied = match session.may(Action::Agent) {
        Ok(decision) => return Ok(Forwarding::Allowed(decision)),
        Err(denied) => denied,
    };
    let audit = denial(&session.tap, session.id(), &denied);
    let entry = crate::event::Entry::on(channel, crate::event::Body::Audit(Box::new(audit)));
    session.recording.append(entry).await?;
    Ok(Forwarding::Refused(why_not(session, &denied)))
}

fn why_not(session: &Session, denied: &Denied) -> String {
    let permit = session.permit();
    match permit.who().restrictions().agent_forwarding {
        true => format!(
            "your agent is not forwarded: {denied} (ref: {}); the session goes on without it",
            session.id()
        ),
        false => "your agent is not forwarded: your certificate has no `permit-agent-forwarding`; \
                  the session goes on without it"
            .to_owned(),
    }
}

/// Where programs on the target come in, and who serves them.
pub(crate) struct AgentDoor {
    visitors: mpsc::Receiver<Visitor>,
}

pub(crate) fn door() -> (Porch, AgentDoor) {
    let (porch, visitors) = Porch::new(|knock| matches!(knock, Knock::Agent));
    (porch, AgentDoor { visitors })
}

impl AgentDoor {
    /// Until the connection to the target is over.
    pub(crate) fn serve(
        mut self,
        connection: &Arc<Connection>,
        session: Arc<Session>,
        opened: Opened,
        gone: CancellationToken,
    ) {
        let tasks = connection.tasks.clone();
        let connection = Arc::clone(connection);
        let places = Arc::new(tokio::sync::Semaphore::new(CONVERSATIONS_MAX));
        tasks.clone().spawn(async move {
            while let Some(visitor) = self.visitors.recv().await {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    let message = format!("more than {CONVERSATIONS_MAX} at once");
                    visitor.refuse(ChannelOpenFailure::ResourceShortage).await;
                    record_refused(&session, message).await;
                    continue;
                };
                let guest = Guest {
                    connection: Arc::clone(&connection),
                    session: Arc::clone(&session),
                    opened: opened.clone(),
                    gone: gone.clone(),
                };
                tasks.spawn(async move {
                    guest.come(visitor).await;
                    drop(place);
                });
            }
        });
    }
}

struct Guest {
    connection: Arc<Connection>,
    session: Arc<Session>,
    opened: Opened,
    gone: CancellationToken,
}

impl Guest {
    async fn come(self, visitor: Visitor) {
        let opening = async {
            let handle = self.connection.handle().ok_or(russh::Error::Disconnect)?;
            handle.channel_open_agent().await
        };
        let user = match arrive::open(&self.connection, opening).await {
            Ok(user) => user,
            Err(reason) => {
                let message = format!("the user's side did not take it: {reason:?}");
                visitor.refuse(reason).await;
                record_refused(&self.session, message).await;
                return;
            }
        };
        let open = self
            .session
            .tap
            .on(user.id, Kind::AgentOpen, Outcome::Success);
        if let Err(error) = self.session.recording.append(open).await {
            tracing::error!(session = %self.session.id(), %error, "the use of an agent was not recorded and is refused");
            self.connection.table().close(user.writer.id());
            visitor.refuse(ChannelOpenFailure::ConnectFailed).await;
            return;
        }
        let id = visitor.writer.id();
        let (down, writer) = visitor.accept().await;
        let conversation = Conversation {
            connection: self.connection,
            session: self.session,
            user,
            down,
            target: writer,
            gone: self.gone,
        };
        conversation.run().await;
        self.opened.remove(id);
    }
}

async fn record_refused(session: &Session, message: String) {
    let close = AgentClose {
        ended: AgentEnd::Refused,
        message: Some(message),
        ..AgentClose::default()
    };
    let kind = Kind::AgentClose(Box::new(close));
    let entry = crate::event::Entry::audit(session.tap.audit(kind, Outcome::Failure));
    if let Err(error) = session.recording.append(entry).await {
        tracing::error!(session = %session.id(), %error, "a refused use of an agent was not recorded");
    }
}
