//! One SSH connection of the user side: a TCP connection at the door, or the SSH inside a jump.

use super::bastion::live::Entered;
use super::channel::{Chan, Gone, Lane, Open, Table};
use super::entry::auth::Tried;
use super::entry::door::Entry as DoorEntry;
use super::entry::guard::{Full, Inside, Waiting};
use super::entry::negotiated::Overheard;
use super::forward::Listeners;
use super::house::House;
use super::pumps::flow::{Flow, Side};
use super::pumps::queue::Queue;
use super::session::{NotOpened, Session, Wanted};
use super::tap::{self, Tap};
use crate::access::{Denied, Target};
use crate::event::{Audit, Decision, Kind, Negotiated, Outcome, Where};
use crate::id::{Login, SessionId};
use crate::identity::{self, Identity, Refusal};
use crate::record;
use russh::server;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Refusals that wait for a channel that can say them; more are events only.
const REFUSED_MAX: usize = 16;

/// Who is on the other end, once that is proven.
pub(crate) struct Person {
    /// Changes when a newer certificate carries the connection on.
    who: watch::Receiver<Arc<Identity>>,
    /// Absent inside a jump without a certificate of its own: there the outer person is it.
    _entered: Option<Entered>,
    pub(crate) user_name: String,
    pub(crate) entry: Entry,
}

impl Person {
    pub(crate) fn new(
        who: watch::Receiver<Arc<Identity>>,
        entered: Option<Entered>,
        user: &str,
        entry: Entry,
    ) -> Self {
        Self {
            who,
            _entered: entered,
            user_name: user.chars().take(256).collect(),
            entry,
        }
    }

    /// Under the newest certificate.
    pub(crate) fn who(&self) -> Arc<Identity> {
        Arc::clone(&self.who.borrow())
    }

    pub(crate) fn current(&self) -> watch::Receiver<Arc<Identity>> {
        self.who.clone()
    }
}

/// Who came in may not go on: the certificate expired, was revoked, or its CA is trusted no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lapsed {
    #[error("your certificate does not hold any more: {0}")]
    Certificate(Refusal),
    /// Something was asked for before a certificate was shown.
    #[error("nobody has logged in on this connection")]
    Nobody,
}

/// Where the connection leads.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The console, verbs, and jumps.
    Bastion,
    /// The name door: `login@target@bastion`.
    Name { login: Login, target: String },
    /// The SSH inside a jump, to a target already found.
    Jump {
        login: Login,
        target: Arc<Target>,
        /// One was shown inside, too.
        certificate: bool,
    },
}

/// How a connection came to be.
pub(crate) enum Way {
    Outer,
    Inner {
        outer: Arc<Connection>,
        target: Arc<Target>,
        /// It really came from `-J` or `-W`: `none` is enough, no second signature.
        trusted_originator: bool,
    },
}

pub(crate) struct Connection {
    pub(crate) house: Arc<House>,
    /// Given at accept, printed as `ref`; of a session door it is the session's id.
    pub(crate) id: SessionId,
    pub(crate) source: SocketAddr,
    pub(crate) way: Way,
    pub(crate) flow: Arc<Flow>,
    pub(crate) tasks: TaskTracker,
    /// Nothing of this connection goes on after this.
    pub(crate) over: CancellationToken,
    /// `None` once the connection is over: none opens any more.
    pub(super) sessions: tokio::sync::Mutex<Option<Vec<Arc<Session>>>>,
    table: Mutex<Table>,
    /// Told when the user confirmed a channel that we opened, and when none will be any more.
    confirmed: Notify,
    /// Remote forwards of this connection.
    pub(super) listeners: Listeners,
    person: OnceLock<Person>,
    client_version: OnceLock<String>,
    pub(super) overheard: Arc<Overheard>,
    handle: OnceLock<server::Handle>,
    offers: AtomicU64,
    /// Answered by the client once it has come to its main loop; taken by the first channel.
    first_answer: Mutex<Option<oneshot::Receiver<()>>>,
    /// Dropped when the person is known: frees the place among the unauthenticated.
    waiting: Mutex<Option<Waiting>>,
    /// Its place among the authenticated, while it lives.
    inside: OnceLock<Inside>,
    /// Asked for and refused before a channel could say so.
    refused: Mutex<Vec<String>>,
    /// What was shown and opened nothing.
    pub(crate) tried: Mutex<Tried>,
}

impl Connection {
    pub(crate) fn new(
        house: Arc<House>,
        source: SocketAddr,
        way: Way,
        waiting: Option<Waiting>,
    ) -> Arc<Self> {
        let over = match &way {
            Way::Outer => CancellationToken::new(),
            Way::Inner { outer, .. } => outer.over.child_token(),
        };
        Arc::new(Self {
            id: SessionId::at(house.clock.now()),
            source,
            way,
            flow: Flow::new(Side::User, &house.budget),
            house,
            tasks: TaskTracker::new(),
            over,
            sessions: tokio::sync::Mutex::new(Some(Vec::new())),
            table: Mutex::new(Table::default()),
            confirmed: Notify::new(),
            listeners: Listeners::default(),
            person: OnceLock::new(),
            client_version: OnceLock::new(),
            overheard: Arc::default(),
            handle: OnceLock::new(),
            offers: AtomicU64::new(0),
            first_answer: Mutex::new(None),
            waiting: Mutex::new(waiting),
            inside: OnceLock::new(),
            refused: Mutex::default(),
            tried: Mutex::default(),
        })
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self, id: russh::ChannelId) -> Option<Open> {
        self.table().get(id)
    }

    /// The bastion closed this channel itself: russh tells nobody of the answer to that, and a channel
    /// kept here for ever would count against the limit.
    pub(crate) fn forget(&self, chan: &Chan) {
        self.table().remove(chan.writer.id());
    }

    /// A place for one more channel, or `None`: as many are open as may be.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Place> {
        let max = self.house.config.limits.channels;
        let reserved = self.table().reserve(max);
        reserved.then(|| Place(Arc::clone(self)))
    }

    pub(crate) fn close_all(&self) {
        self.table().close_all();
        self.listeners.end();
        self.confirmed.notify_waiters();
    }

    /// russh's callback: a channel that we opened is open.
    pub(crate) fn confirm(&self, id: russh::ChannelId) {
        let lane = Lane::new(Queue::new(Arc::clone(&self.flow)));
        self.table().confirm(id, lane);
        self.confirmed.notify_waiters();
    }

    /// Waits for the callback that goes with a channel that we opened.
    pub(crate) async fn claim(&self, id: russh::ChannelId) -> Result<Arc<Lane>, Gone> {
        loop {
            let confirmed = self.confirmed.notified();
            tokio::pin!(confirmed);
            // From here on no notice is lost.
            confirmed.as_mut().enable();
            if let Some(lane) = self.table().claim(id)? {
                return Ok(lane);
            }
            confirmed.await;
        }
    }

    pub(crate) fn person(&self) -> Option<&Person> {
        self.person.get()
    }

    /// The person, if their certificate still holds.
    pub(crate) fn who_now(&self) -> Result<Arc<Identity>, Lapsed> {
        let who = self.person().map(Person::who);
        let who = who.ok_or(Lapsed::Nobody)?;
        let trust = self.house.trust_now();
        identity::recheck(&who, &trust, self.house.clock.now()).map_err(Lapsed::Certificate)?;
        Ok(identity::regarded_now(&who, &trust).map_or(who, Arc::new))
    }

    /// The one place where a connection gets its person.
    pub(crate) fn know(&self, person: Person) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.house.limiter.note_found(self.source.ip());
        if self.person.set(person).is_err() {
            tracing::warn!(connection = %self.id, "a connection authenticated twice");
        }
    }

    pub(crate) fn note_client_version(&self, version: &[u8]) {
        // RFC 4253 §4.2: at most 255 bytes.
        let text = String::from_utf8_lossy(version).chars().take(255).collect();
        self.client_version.get_or_init(|| text);
    }

    pub(crate) fn note_handle(&self, handle: server::Handle) {
        self.handle.get_or_init(|| handle);
    }

    pub(crate) fn handle(&self) -> Option<&server::Handle> {
        self.handle.get()
    }

    /// `answer` comes when the client has answered what was asked of it right after the login.
    pub(crate) fn note_asked(&self, answer: oneshot::Receiver<()>) {
        *self
            .first_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// Is this the first channel, opened before the client has answered anything? OpenSSH opens the
    /// channel of `-J` and `-W` before it comes to its main loop, where it answers, and where it
    /// takes connections for `-L` and `-D`: those come later, whatever address they say they are of.
    pub(crate) fn is_first_word(&self) -> bool {
        let answer = self
            .first_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        answer.is_some_and(|mut answer| answer.try_recv() == Err(TryRecvError::Empty))
    }

    /// Sent once, at the door; the SSH inside a jump says nothing again.
    pub(crate) fn banner(&self) -> Option<String> {
        let config = &self.house.config;
        let notice = config.notice.as_ref()?;
        if matches!(self.way, Way::Inner { .. }) {
            return None;
        }
        let notice = notice.trim_end();
        // `ssh` in batch mode prints nothing that a server says later. So it is said before anything
        // is known of the person, but only where somebody just came without a certificate.
        let hint = match self.house.limiter.is_lost(self.source.ip()) {
            true => format!(
                "portcullis: if you are refused, you need a certificate: {}\r\n",
                config.certificate_hint
            ),
            false => String::new(),
        };
        Some(format!("{notice}\r\n{hint}"))
    }

    pub(crate) fn client_version(&self) -> String {
        self.client_version.get().cloned().unwrap_or_default()
    }

    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        self.overheard.agreed.get().cloned()
    }

    /// A place among the authenticated, kept while the connection lives. The SSH inside a jump has
    /// its outer connection's.
    pub(crate) fn take_place(&self, who: &Identity) -> Result<(), Full> {
        if matches!(self.way, Way::Outer) && self.inside.get().is_none() {
            let inside = self.house.limiter.enter(who.subject())?;
            self.inside.get_or_init(|| inside);
        }
        Ok(())
    }

    pub(crate) fn note_refused(&self, what: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX && !refused.iter().any(|known| known == what) {
            refused.push(what.to_owned());
        }
    }

    /// What a channel that can speak has to say for the connection.
    pub(crate) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts an offered key, and says how many there were.
    pub(crate) fn offer(&self) -> u64 {
        self.offers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The entry that a user name asks for at this connection, with or without a `certificate` shown.
    pub(crate) fn entry(&self, user: &str, certificate: bool) -> Result<Entry, String> {
        match &self.way {
            Way::Inner { target, .. } => {
                let login = user
                    .parse()
                    .map_err(|bad| format!("`{user}` is no login: {bad}"))?;
                Ok(Entry::Jump {
                    login,
                    target: Arc::clone(target),
                    certificate,
                })
            }
            Way::Outer => match super::entry::door::parse(user) {
                Ok(DoorEntry::Bastion) => Ok(Entry::Bastion),
                Ok(DoorEntry::Name { login, target }) => Ok(Entry::Name { login, target }),
                Ok(DoorEntry::LoginDoor) => Err(
                    "`login@` is for signing in, which this bastion does not offer yet".to_owned(),
                ),
                Err(bad) => Err(bad.to_string()),
            },
        }
    }

    pub(crate) async fn record_denial(
        &self,
        person: &Person,
        wanted: &Wanted,
        denied: &Denied,
    ) -> Result<(), record::Error> {
        let tap = Tap {
            who: tap::who(&person.who(), &person.user_name, self.source),
            place: Arc::new(Where {
                node: self.house.config.node.clone(),
                target: Some(wanted.target.name.clone()),
                address: Some(wanted.target.host.clone()),
                port: Some(wanted.target.port),
                login: Some(wanted.login.clone()),
            }),
            why: wanted.said.clone().map(Arc::new),
        };
        self.house
            .recorder
            .append_node(denial(&tap, wanted.id, denied))
            .await
    }

    /// The target of this connection is not there for this person.
    pub(crate) async fn record_unfound(&self, denied: &Denied) {
        let kind = Kind::AccessDeny {
            reference: self.id,
            decision: denied.decision().cloned().unwrap_or_else(Decision::default),
            message: denied.to_string(),
        };
        if let Err(error) = self.record(kind, Outcome::Denied).await {
            tracing::error!(%error, "a denial could not be recorded");
        }
    }

    pub(crate) async fn record_lapse(
        &self,
        reference: SessionId,
        lapsed: &Lapsed,
    ) -> Result<(), record::Error> {
        let kind = Kind::AccessDeny {
            reference,
            decision: Decision::default(),
            message: lapsed.to_string(),
        };
        self.record(kind, Outcome::Denied).await
    }

    /// Events at a connection that is no session (yet) stand in the node's stream.
    pub(crate) async fn record(&self, kind: Kind, outcome: Outcome) -> Result<(), record::Error> {
        let who = match self.person() {
            Some(person) => tap::who(&person.who(), &person.user_name, self.source),
            None => tap::stranger("", None, self.source),
        };
        let tap = Tap {
            who,
            place: tap::nowhere(&self.house.config.node),
            why: None,
        };
        self.house
            .recorder
            .append_node(tap.audit(kind, outcome))
            .await
    }

    /// The session of a session door, opened by the first channel that needs it.
    pub(crate) async fn session(
        self: &Arc<Self>,
        wanted: Wanted,
    ) -> Result<Arc<Session>, NotOpened> {
        let person = self.person().ok_or(record::Error::Stopped)?;
        let mut sessions = self.sessions.lock().await;
        let sessions = sessions.as_mut().ok_or(record::Error::Stopped)?;
        if let Some(session) = sessions.iter().find(|session| session.id() == wanted.id) {
            return Ok(Arc::clone(session));
        }
        let session = Session::open(self, person, wanted).await?;
        sessions.push(Arc::clone(&session));
        Ok(session)
    }
}

/// A place among the channels of a connection, until it is filled or dropped.
pub(crate) struct Place(Arc<Connection>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.table().unreserve();
    }
}

pub(crate) fn denial(tap: &Tap, reference: SessionId, denied: &Denied) -> Audit {
    tap.audit(
        Kind::AccessDeny {
            reference,
            decision: denied.decision().cloned().unwrap_or_else(Decision::default),
            message: denied.to_string(),
        },
        Outcome::Denied,
    )
}
