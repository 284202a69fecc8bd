use super::bastion::live::Live;
use super::bastion::verbs::Verbs;
use super::config::Config;
use super::entry::guard::{Limiter, Stranger};
use super::entry::hosts::Hosts;
use super::pumps::budget::Budget;
use super::tap::{self, Tap};
use super::target::dial::Dialler;
use super::target::known::Known;
use crate::access::Desk;
use crate::clock::Clock;
use crate::event::{Kind, Outcome};
use crate::id::SessionId;
use crate::identity::Trust;
use crate::record::Recorder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What connections need from the rest of the house. Built once, by `server`.
pub struct House {
    pub clock: Clock,
    pub config: Arc<Config>,
    pub desk: Desk,
    pub recorder: Recorder,
    pub trust: watch::Receiver<Arc<Trust>>,
    pub dialler: Dialler,
    pub hosts: Hosts,
    pub verbs: Arc<dyn Verbs>,
    pub limiter: Arc<Limiter>,
    pub budget: Arc<Budget>,
    pub live: Arc<Live>,
    pub known: Known,
    /// Set while revocations cannot be read for too long: nobody new comes in.
    pub logins_closed: Arc<AtomicBool>,
    /// No new connections; running sessions are told and get `drain`.
    pub stop: CancellationToken,
    /// Told twice: sessions end at once, each with its end.
    pub now: CancellationToken,
    /// Every connection's task.
    pub tasks: TaskTracker,
}

impl House {
    /// SHA-256 of the notice in force, for `session.start`.
    pub(crate) fn notice_hash(&self) -> Option<String> {
        let notice = self.config.notice.as_ref()?;
        let sum = ring::digest::digest(&ring::digest::SHA256, notice.as_bytes());
        Some(hex::encode(sum.as_ref()))
    }

    /// Somebody came to the door and never said who it was. So many are events, the rest is counted.
    pub(crate) async fn note_stranger(
        &self,
        source: SocketAddr,
        user: &str,
        how: Stranger,
        said: &str,
    ) {
        let Some(untold) = self.limiter.tell(how, self.clock.monotonic()) else {
            return;
        };
        let message = if untold == 0 {
            said.to_owned()
        } else {
            format!("{said} (and {untold} more strangers before it, not told one by one)")
        };
        let tap = Tap {
            who: tap::stranger(user, None, source),
            place: tap::nowhere(&self.config.node),
            why: None,
        };
        let note = tap::note("stranger", message, SessionId::at(self.clock.now()));
        let event = tap.audit(Kind::AuthFail(note), Outcome::Failure);
        if let Err(error) = self.recorder.append_node(event).await {
            tracing::error!(%error, "a stranger could not be recorded");
        }
    }

    pub(crate) fn trust_now(&self) -> Arc<Trust> {
        Arc::clone(&self.trust.borrow())
    }

    pub(crate) fn accepts_logins(&self) -> bool {
        !self.logins_closed.load(Ordering::SeqCst) && !self.stop.is_cancelled()
    }
}
