//! Remote forwards: the target listens, and who connects there comes through to the user.
//!
//! Each listener has a connection to the target of its own, which carries all that comes in at it: a
//! stalled one stalls its siblings at the same listener, and nothing else.

use super::guest::{Bound, Guest, bound_at};
use super::right::{Right, endpoint};
use crate::access::{Action, Destination};
use crate::event::{
    Decision, Entry, ForwardCancel, ForwardDirection, ForwardEnd, ForwardListen, Kind, Outcome,
};
use crate::proxy::connection::Connection;
use crate::proxy::session::Session;
use crate::proxy::start;
use crate::proxy::target::dial::Needs;
use crate::proxy::target::line::{self, Line};
use crate::proxy::target::visitor::{Knock, Porch, Visitor};
use crate::record;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Of one connection. Each is a connection to the target.
const LISTENERS_MAX: usize = 16;
/// For the target's answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);
pub(super) const DIRECTION: ForwardDirection = ForwardDirection::Remote;

/// The listeners of one connection.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<(Bound, CancellationToken)>>);

impl Listeners {
    fn held(&self) -> MutexGuard<'_, Vec<(Bound, CancellationToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is over.
    pub(crate) fn end(&self) {
        for (_, cancelled) in self.held().drain(..) {
            cancelled.cancel();
        }
    }
}

/// Why there is no listener: the sentence and what to do, for the next channel that can speak.
struct Refused(String);

impl From<record::Error> for Refused {
    fn from(error: record::Error) -> Self {
        Self(format!(
            "a listener cannot be recorded, so it is not opened ({error})"
        ))
    }
}

/// From russh's callback, which has to answer: the port. This waits for the target, never for the
/// user. `None`: refused, and the next channel that can speak says why.
pub(crate) async fn listen(connection: &Arc<Connection>, bound: Bound) -> Option<u32> {
    match start_listening(connection, &bound).await {
        Ok(port) => Some(port),
        Err(Refused(text)) => {
            connection.note_refused(&text);
            None
        }
    }
}

/// No more come in; who is through stays.
pub(crate) fn cancel(connection: &Connection, bound: &Bound) -> bool {
    let mut held = connection.listeners.held();
    let at = held.iter().position(|(known, _)| known == bound);
    match at {
        Some(at) => {
            held.swap_remove(at).1.cancel();
            true
        }
        None => false,
    }
}

async fn start_listening(connection: &Arc<Connection>, bound: &Bound) -> Result<u32, Refused> {
    let place = bound.destination();
    let place = place.map_err(|bad| Refused(format!("a listener is not possible: {bad}")))?;
    let (taken, known) = {
        let held = connection.listeners.held();
        let known = held.iter().any(|(known, _)| known == bound);
        (held.len(), known)
    };
    if taken >= LISTENERS_MAX || known {
        let what = format!("{place} is listened at already, or {LISTENERS_MAX} listeners are open");
        return Err(Refused(what));
    }
    let right = Right {
        action: Action::ForwardRemote,
        destination: place,
        source: connection.source.ip(),
    };
    let session = open_session(connection).await?;
    let decision = match right.ask(&session) {
        Ok(decision) => decision,
        Err(denied) => {
            let denial = right.record_denial(&session, (DIRECTION, None), &denied);
            denial.await?;
            let told = format!("{denied}; {}; ref: {}", denied.hint(), session.id());
            return Err(Refused(told));
        }
    };
    let listener = Listener::open(connection, session, bound, right, decision).await?;
    let port = listener.expected.port.load(Ordering::SeqCst);
    let stop = CancellationToken::new();
    connection
        .listeners
        .held()
        .push((bound.at(port), stop.clone()));
    connection.tasks.spawn(listener.run(stop));
    Ok(port)
}

async fn open_session(connection: &Arc<Connection>) -> Result<Arc<Session>, Refused> {
    let nobody = || Refused("not logged in".to_owned());
    let person = connection.person().ok_or_else(nobody)?;
    let wanted = match start::wanted(connection, person, None) {
        Some(Ok(wanted)) => wanted,
        Some(Err(denied)) => {
            connection.record_unfound(&denied).await;
            return Err(Refused(denied.to_string()));
        }
        None => return Err(Refused(super::local::NOTHING_BUT_SSH.to_owned())),
    };
    let session = connection.session(wanted).await;
    session.map_err(|not_opened| Refused(not_opened.sentence()))
}

/// What may come in at this connection to the target.
struct Expected {
    /// 0 until the target has chosen it.
    port: AtomicU32,
    listening: AtomicBool,
    socket: Option<String>,
}

impl Expected {
    fn lets_in(&self, knock: &Knock) -> bool {
        let asked = match knock {
            Knock::Tcpip { port, .. } => {
                let mine = self.port.load(Ordering::SeqCst);
                self.socket.is_none() && (mine == 0 || mine == *port)
            }
            Knock::Socket { path } => self.socket.as_ref() == Some(path),
            Knock::Agent => false,
        };
        asked && self.listening.load(Ordering::SeqCst)
    }
}

struct Listener {
    connection: Arc<Connection>,
    session: Arc<Session>,
    right: Right,
    decision: Decision,
    /// As the user knows it.
    bound: Bound,
    expected: Arc<Expected>,
    line: Line,
    visitors: mpsc::Receiver<Visitor>,
}

impl Listener {
    /// A connection to the target on which it listens.
    async fn open(
        connection: &Arc<Connection>,
        session: Arc<Session>,
        bound: &Bound,
        right: Right,
        decision: Decision,
    ) -> Result<Self, Refused> {
        let (port, socket) = match bound {
            Bound::Tcp { port, .. } => (*port, None),
            Bound::Socket(path) => (0, Some(path.clone())),
        };
        let expected = Arc::new(Expected {
            port: AtomicU32::new(port),
            listening: AtomicBool::new(true),
            socket,
        });
        let asked = Arc::clone(&expected);
        let (porch, visitors) = Porch::new(move |knock| asked.lets_in(knock));
        let needs = Needs {
            port_forwarding: true,
            ..Needs::default()
        };
        let name = session.permit().target().name.clone();
        let line = match line::open(&session, needs, Some(porch)).await {
            Ok(line) => line,
            Err(error) => {
                let what = format!("`{name}`: {error}");
                record_failure(&session, &right, &what).await?;
                return Err(Refused(format!("{what}; {}", error.hint())));
            }
        };
        let Some(chosen) = ask_target(&line, &right.destination).await else {
            line.end().await;
            let what = format!("`{name}` does not listen at {}", right.destination);
            record_failure(&session, &right, &what).await?;
            let hint = "the port may be taken, or its sshd does not let you forward";
            return Err(Refused(format!("{what}; {hint}")));
        };
        if port == 0 {
            expected.port.store(chosen, Ordering::SeqCst);
        }
        let fact = ForwardListen {
            at: endpoint(&right.destination),
            port: u16::try_from(chosen).ok().filter(|port| *port != 0),
            decision: decision.clone(),
        };
        let kind = Kind::ForwardListen(Box::new(fact));
        let entry = Entry::audit(session.tap.audit(kind, Outcome::Success));
        if let Err(error) = session.recording.append(entry).await {
            line.end().await;
            return Err(error.into());
        }
        Ok(Self {
            connection: Arc::clone(connection),
            session,
            right,
            decision,
            bound: bound.at(chosen),
            expected,
            line,
            visitors,
        })
    }

    /// Until it is cancelled, or the right to it, the session or the target ends.
    async fn run(mut self, cancelled: CancellationToken) {
        let inside = TaskTracker::new();
        let ended = loop {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => break ForwardEnd::User,
                () = self.session.ended() => break ForwardEnd::Session,
                _denied = self.right.lost(&self.session) => break ForwardEnd::Policy,
                () = self.line.gone.cancelled() => break ForwardEnd::Target,
                Some(visitor) = self.visitors.recv() => {
                    inside.spawn(self.welcome(visitor));
                }
            }
        };
        // Who came meanwhile is turned away, but is no surprise: the target was not told yet.
        self.visitors.close();
        let known = &self.bound;
        self.connection
            .listeners
            .held()
            .retain(|(bound, _)| bound != known);
        self.stop_target().await;
        self.expected.listening.store(false, Ordering::SeqCst);
        let fact = ForwardCancel {
            at: bound_at(&self.bound, &self.right.destination),
            ended,
            message: None,
        };
        let kind = Kind::ForwardCancel(Box::new(fact));
        let entry = Entry::audit(self.session.tap.audit(kind, Outcome::Success));
        if let Err(error) = self.session.recording.append(entry).await {
            tracing::error!(session = %self.session.id(), %error, "the end of a listener was not recorded");
        }
        // Who is through has a reason of their own to end.
        inside.close();
        inside.wait().await;
        self.line.end().await;
    }

    async fn stop_target(&self) {
        let handle = &self.line.handle;
        let stopping = async {
            match &self.right.destination {
                Destination::Host { host, .. } => {
                    let port = self.expected.port.load(Ordering::SeqCst);
                    handle.cancel_tcpip_forward(host.as_str(), port).await
                }
                Destination::Socket(path) => handle.cancel_streamlocal_forward(path.as_str()).await,
            }
        };
        let stopped = tokio::time::timeout(ANSWER_MAX, stopping);
        tokio::select! {
            stopped = stopped => if !matches!(stopped, Ok(Ok(()))) {
                tracing::debug!(session = %self.session.id(), "the target did not stop to listen");
            },
            () = self.line.gone.cancelled() => {}
        }
    }

    /// One who came: the user is asked first, then the target is told.
    fn welcome(&self, visitor: Visitor) -> impl Future<Output = ()> + Send + 'static {
        let guest = Guest {
            connection: Arc::clone(&self.connection),
            session: Arc::clone(&self.session),
            right: self.right.clone(),
            decision: self.decision.clone(),
            bound: self.bound.clone(),
        };
        let opened = self.line.opened.clone();
        async move {
            let id = visitor.writer.id();
            guest.come(visitor).await;
            opened.remove(id);
        }
    }
}

/// What was decided on is what is asked for, in no other spelling. The target's answer: the port that it chose, or 0; `None` if it does not listen.
async fn ask_target(line: &Line, decided: &Destination) -> Option<u32> {
    let asking = async {
        match decided {
            Destination::Host { host, port } => {
                let asked = line.handle.tcpip_forward(host.as_str(), (*port).into());
                asked.await
            }
            Destination::Socket(path) => {
                let asked = line.handle.streamlocal_forward(path.as_str());
                asked.await.map(|()| 0)
            }
        }
    };
    tokio::time::timeout(ANSWER_MAX, asking).await.ok()?.ok()
}

async fn record_failure(session: &Session, right: &Right, what: &str) -> Result<(), Refused> {
    let fact = ForwardCancel {
        at: endpoint(&right.destination),
        ended: ForwardEnd::Refused,
        message: Some(what.to_owned()),
    };
    let kind = Kind::ForwardCancel(Box::new(fact));
    let entry = Entry::audit(session.tap.audit(kind, Outcome::Failure));
    Ok(session.recording.append(entry).await?)
}
