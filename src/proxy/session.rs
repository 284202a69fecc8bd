//! One person's access to one target, top to bottom. Start reading here.
//!
//! ```text
//! certificate -> Identity      auth.rs, inside russh's callback
//! Identity    -> Permit        Session::open: justification, policy
//! Permit      -> Recording     Session::open: `session.start` is in the journal
//! Recording   -> target        start.rs: dial, requests replayed
//! target      -> relay         relay.rs: append, then forward
//!             -> End           watch.rs: why it ends, and that it ends
//! ```
//! Each step takes what the step before proved: no [`Permit`] without an [`Identity`], no dial
//! without a [`Permit`] and a [`Recording`], no relay without both.

use super::connection::{Connection, Lapsed, Person};
use super::house::House;
use super::tap::{self, Tap};
use super::watch;
use crate::access::Action;
use crate::access::{Ask, Denied, Door, Permit, Target};
use crate::event::{Decision, End, Kind, Outcome, SessionStart, Totals, Where, Why};
use crate::id::{Login, SessionId};
use crate::identity::Identity;
use crate::record::{self, Recording};
use russh::keys::ssh_key::Certificate;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::{broadcast, watch as latest};
use tokio_util::sync::CancellationToken;

/// Notices to terminals that wait for a slow one; the oldest is lost to it.
const NOTICES: usize = 8;

/// Why a session did not open. `to_user` is what the person reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("this session cannot be recorded, so it is not opened ({0})")]
    Record(#[from] record::Error),
    /// The connection was accepted once, and its certificate does not hold any more.
    #[error(transparent)]
    Lapsed(#[from] Lapsed),
    #[error("this bastion stops, and opens nothing new")]
    Stopping,
}

impl NotOpened {
    /// For a channel open failure: `ssh` prints it on one line.
    pub(crate) fn in_one_line(&self, reference: SessionId) -> String {
        match self {
            Self::Denied(denied) => denied.in_one_line(reference),
            Self::Lapsed(_) | Self::Stopping | Self::Record(_) => {
                super::bastion::say::one_line(&self.to_string(), "no session opens now", reference)
            }
        }
    }

    /// What and what next, where the reference stands elsewhere.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Denied(denied) => {
                let hint = denied.hint().lines().next().unwrap_or_default();
                format!("{denied}; {}", hint.trim_end_matches(':'))
            }
            Self::Lapsed(_) | Self::Stopping | Self::Record(_) => self.to_string(),
        }
    }

    pub(crate) fn to_user(&self, reference: SessionId) -> String {
        match self {
            Self::Denied(denied) => denied.to_user(reference),
            Self::Lapsed(lapsed) => {
                super::bastion::say::refusal(&lapsed.to_string(), None, reference)
            }
            Self::Stopping => {
                let hint = Some("try again in a moment");
                super::bastion::say::refusal(&self.to_string(), hint, reference)
            }
            Self::Record(_) => super::bastion::say::refusal(
                &self.to_string(),
                Some("tell your operator; `portcullis doctor` on the bastion says more"),
                reference,
            ),
        }
    }
}

/// What somebody wants opened, and through which door.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: SessionId,
    pub(crate) target: Arc<Target>,
    pub(crate) login: Login,
    pub(crate) door: Door,
    pub(crate) said: Option<Why>,
}

/// An open session. Its channels share it; the connection closes it when they are all gone.
pub(crate) struct Session {
    pub(crate) house: Arc<House>,
    pub(crate) recording: Recording,
    pub(crate) tap: Tap,
    pub(crate) door: Door,
    permit: Mutex<Permit>,
    /// Counts changes of the permit: who holds a right of their own asks again.
    rights: latest::Sender<u64>,
    /// Set once, by the first who knows.
    ending: latest::Sender<Option<(End, String)>>,
    pub(crate) notices: broadcast::Sender<Arc<str>>,
    input_bytes: AtomicU64,
    output_bytes: AtomicU64,
    channels: AtomicU32,
    /// `mt` of the last byte either way, in milliseconds.
    last_byte_ms: AtomicU64,
    target_left: AtomicBool,
    pub(crate) over: CancellationToken,
}

impl Session {
    /// Admits, then opens the recording. Nothing is dialled before this returned.
    pub(crate) async fn open(
        connection: &Arc<Connection>,
        person: &Person,
        wanted: Wanted,
    ) -> Result<Arc<Self>, NotOpened> {
        let house = &connection.house;
        if house.stop.is_cancelled() {
            return Err(NotOpened::Stopping);
        }
        // The connection may be older than what is true now.
        let who = match connection.who_now() {
            Ok(who) => who,
            Err(lapsed) => {
                connection.record_lapse(wanted.id, &lapsed).await?;
                return Err(lapsed.into());
            }
        };
        let ask = Ask {
            who: &who,
            target: &wanted.target,
            login: &wanted.login,
            source: connection.source.ip(),
            door: wanted.door,
            said: wanted.said.clone(),
        };
        let permit = match house.desk.admit(&ask) {
            Ok(permit) => permit,
            Err(denied) => {
                connection.record_denial(person, &wanted, &denied).await?;
                return Err(denied.into());
            }
        };
        let tap = session_tap(connection, person, &permit);
        let start = start_event(connection, &permit, wanted.door);
        let start = tap.audit(Kind::SessionStart(Box::new(start)), Outcome::Success);
        let durability = wanted.target.durability;
        let opened = house.recorder.open_session(wanted.id, start, durability);
        let recording = opened.await?;
        let session = Arc::new(Self {
            house: Arc::clone(house),
            recording,
            tap,
            door: wanted.door,
            permit: Mutex::new(permit),
            rights: latest::Sender::new(0),
            ending: latest::Sender::new(None),
            notices: broadcast::Sender::new(NOTICES),
            input_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            channels: AtomicU32::new(0),
            last_byte_ms: AtomicU64::new(0),
            target_left: AtomicBool::new(false),
            over: CancellationToken::new(),
        });
        connection.tasks.spawn(watch::run(
            Arc::clone(&session),
            Arc::clone(connection),
            person.current(),
        ));
        Ok(session)
    }

    pub(crate) fn id(&self) -> SessionId {
        self.recording.id()
    }

    pub(crate) fn permit(&self) -> MutexGuard<'_, Permit> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn may(&self, action: Action) -> Result<Decision, Denied> {
        self.permit().use_for(action).cloned()
    }

    /// The same session under rights that hold now.
    pub(crate) fn go_on_under(&self, permit: Permit) {
        *self.permit() = permit;
        self.rights.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn rights(&self) -> latest::Receiver<u64> {
        self.rights.subscribe()
    }

    /// Ends it: channels are told `message` on their terminal, then closed. The first reason counts.
    pub(crate) fn end(&self, end: End, message: impl Into<String>) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            if first {
                *ending = Some((end, message.into()));
            }
            first
        });
    }

    /// Waits until something ended the session. Cancel-safe.
    pub(crate) async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        // The sender is a field of this very session: it cannot be gone.
        drop(ending.wait_for(Option::is_some).await);
    }

    /// What ended it, and the sentence for the person.
    pub(crate) fn ending(&self) -> Option<(End, String)> {
        self.ending.borrow().clone()
    }

    pub(crate) fn note_channel(&self) {
        self.channels.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_input(&self, bytes: u64) {
        self.input_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.note_byte();
    }

    pub(crate) fn note_output(&self, bytes: u64) {
        self.output_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.note_byte();
    }

    fn note_byte(&self) {
        let now = self.recording.elapsed().as_millis();
        self.last_byte_ms
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn idle_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_byte_ms.load(Ordering::Relaxed));
        self.recording.elapsed().saturating_sub(last)
    }

    /// The connection is over; the watcher need not wait for anything.
    pub(crate) fn note_connection_over(&self) {
        self.over.cancel();
    }

    /// The target ended what ran there: the usual way out.
    pub(crate) fn note_target_left(&self) {
        self.target_left.store(true, Ordering::Relaxed);
    }

    /// Writes `session.end` and closes the recording. Called once, by the connection, when no
    /// channel is left.
    pub(crate) async fn close(&self, otherwise: End, network: Option<String>) {
        let told = self.ending();
        let (reason, detail) = match told {
            Some((end, message)) => (end, Some(message)),
            None if self.target_left.load(Ordering::Relaxed) => (End::TargetExit, None),
            None => (otherwise, network),
        };
        // Whoever still watches this session sees that it is over.
        self.end(reason, String::new());
        let elapsed = self.recording.elapsed().as_millis();
        let totals = Totals {
            duration_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            channels: self.channels.load(Ordering::Relaxed),
            input_bytes: self.input_bytes.load(Ordering::Relaxed),
            output_bytes: self.output_bytes.load(Ordering::Relaxed),
        };
        let end = self.tap.audit(
            Kind::SessionEnd {
                reason,
                detail,
                totals,
            },
            Outcome::Success,
        );
        if let Err(error) = self.recording.clone().close(end).await {
            tracing::error!(session = %self.id(), %error, "the end of a session was not recorded");
        }
    }
}

fn session_tap(connection: &Connection, person: &Person, permit: &Permit) -> Tap {
    let target = permit.target();
    Tap {
        who: tap::who(permit.who(), &person.user_name, connection.source),
        place: Arc::new(Where {
            node: connection.house.config.node.clone(),
            target: Some(target.name.clone()),
            address: Some(target.host.clone()),
            port: Some(target.port),
            login: Some(permit.login().clone()),
        }),
        why: Some(Arc::clone(permit.why())),
    }
}

fn start_event(connection: &Connection, permit: &Permit, door: Door) -> SessionStart {
    let house = &connection.house;
    let started = house.clock.now().duration_since(UNIX_EPOCH);
    SessionStart {
        started_unix_ns: started
            .ok()
            .and_then(|since| u64::try_from(since.as_nanos()).ok())
            .unwrap_or(0),
        door: door.as_str().to_owned(),
        client_version: connection.client_version(),
        negotiated: connection.negotiated().unwrap_or_default(),
        certificate: openssh_text(permit.who().certificate()),
        decision: opening(permit),
        policy_set: permit.policy_set().to_owned(),
        notice: house.notice_hash(),
        typed: house.config.session.typed.as_str().to_owned(),
        content_bytes: house.config.session.content_bytes,
        clock_synchronised: None,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// What opened the door: the first thing that is allowed there.
fn opening(permit: &Permit) -> Decision {
    [
        Action::Shell,
        Action::Exec,
        Action::Sftp,
        Action::SftpRead,
        Action::SftpWrite,
    ]
    .into_iter()
    .find_map(|action| permit.may(action).ok().cloned())
    .unwrap_or_default()
}

pub(crate) fn openssh_text(certificate: &Certificate) -> String {
    certificate.to_openssh().unwrap_or_default()
}

/// How long the identity still holds.
pub(crate) fn time_left(session: &Session, who: &Identity) -> Option<Duration> {
    who.valid_before()
        .duration_since(session.house.clock.now())
        .ok()
}
