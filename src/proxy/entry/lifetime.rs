//! A connection from its first byte to its last: who does not log in in time goes, who may not be here
//! any more goes, and nothing of anybody stays behind.

use super::guard::Stranger;
use super::negotiated::Overhearing;
use super::user::{Fault, UserSide};
use crate::event::{End, Kind, Outcome};
use crate::proxy::bastion::say;
use crate::proxy::connection::{Connection, Way};
use crate::proxy::pumps::flow::Flow;
use crate::proxy::pumps::gate::Gate;
use crate::proxy::tap;
use russh::server;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// After the user is gone: what was accepted may still reach the target.
const DRAIN_MAX: Duration = Duration::from_secs(12);
/// Between two looks at whether a certificate still holds: the wall clock may step.
const TICK: Duration = Duration::from_secs(1);
/// From the end of a session to the end of its connection, for the last message to arrive.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Connection {
    /// Runs until the connection and everything in it is over. Dropping the future kills it.
    pub(crate) async fn run<S>(self: Arc<Self>, config: Arc<server::Config>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _killed_when_dropped = Kill(Arc::clone(&self.flow));
        let overhearing = Overhearing::new(Arc::clone(&self.overheard));
        let gate = Gate::overhearing(stream, Arc::clone(&self.flow), overhearing);
        let side = UserSide::new(Arc::clone(&self));
        let grace = self.house.config.limits.login_grace;
        let talk = async {
            match server::run_stream(config, gate, side).await {
                Ok(running) => {
                    self.note_handle(running.handle());
                    running.await
                }
                Err(error) => Err(error),
            }
        };
        let outcome = {
            tokio::pin!(talk);
            let known = async {
                tokio::time::sleep(grace).await;
                if self.person().is_some() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                outcome = &mut talk => Some(outcome),
                () = known => {
                    self.house.limiter.note_grace_expired();
                    None
                }
                () = self.lapsed() => None,
                () = self.stopped() => None,
                () = self.over.cancelled() => {
                    self.flow.kill();
                    None
                }
            }
        };
        let (end, detail) = match &outcome {
            Some(Ok(())) | None => (End::UserExit, None),
            Some(Err(error)) => {
                tracing::debug!(connection = %self.id, %error, "connection ended");
                let end = error.end();
                (end, (end == End::Network).then(|| error.to_string()))
            }
        };
        if self.person().is_some()
            && let Some(Err(fault)) = &outcome
        {
            self.note_broken_rules(fault).await;
        }
        if self.person().is_none() && matches!(self.way, Way::Outer) {
            self.note_stranger(outcome).await;
        }
        self.finish(end, detail).await;
    }

    /// A session, if there is one, says it at its end; without one nothing else would.
    async fn note_broken_rules(&self, fault: &Fault) {
        if !fault.breaks_the_rules() {
            return;
        }
        let what = format!("the connection was ended: {fault}");
        let note = tap::note("protocol", what.as_str(), self.id);
        if let Err(error) = self.record(Kind::Error(note), Outcome::Denied).await {
            tracing::error!(%error, "a client that broke the rules could not be recorded");
        }
    }

    /// Nobody ever logged in here.
    async fn note_stranger(&self, outcome: Option<Result<(), Fault>>) {
        if self.note_no_login().await {
            return;
        }
        let (how, said) = match outcome {
            Some(Ok(())) => (Stranger::Left, "it left without a login".to_owned()),
            Some(Err(error)) => (Stranger::Left, format!("it left without a login: {error}")),
            None => {
                let said = "it did not log in within the login grace time";
                (Stranger::Late, said.to_owned())
            }
        };
        let user = self.user_asked();
        let house = &self.house;
        house.note_stranger(self.source, &user, how, &said).await;
    }

    /// Closes what is open, waits for its tasks (bounded), and closes the recordings.
    async fn finish(&self, end: End, detail: Option<String>) {
        self.close_all();
        self.tasks.close();
        let drained = async {
            for session in self.sessions.lock().await.iter().flatten() {
                // The watcher of each session waits for the end; give it one.
                session.note_connection_over();
            }
            self.tasks.wait().await;
        };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!(connection = %self.id, "tasks of a connection had to be cut off");
        }
        self.over.cancel();
        self.flow.kill();
        let sessions = self.sessions.lock().await.take();
        for session in sessions.into_iter().flatten() {
            session.close(end, detail.clone()).await;
        }
        self.tasks.wait().await;
    }

    /// Each says `message` to its person, and goes; the connection follows.
    pub(crate) async fn end_sessions(&self, end: End, message: &str) {
        for session in self.sessions.lock().await.iter().flatten() {
            session.end(end, message);
        }
    }

    /// A session of this connection ended for a reason of the bastion: it gets its last words out,
    /// then the connection goes.
    pub(crate) async fn end_soon(&self) {
        tokio::select! {
            () = tokio::time::sleep(LAST_WORDS) => self.flow.kill(),
            () = self.over.cancelled() => {}
        }
    }

    /// Waits until who came in may not be here any more. Sessions end by themselves, with a message
    /// (watch.rs); what is left then, the console or a jump without a session, ends here.
    async fn lapsed(&self) {
        let mut trust = self.house.trust.clone();
        let lapsed = loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                // The sender lives as long as the house.
                Ok(()) = trust.changed() => {}
            }
            if self.person().is_none() {
                continue;
            }
            if let Err(lapsed) = self.who_now() {
                break lapsed;
            }
        };
        tokio::time::sleep(LAST_WORDS).await;
        self.disconnect(say::one_line(&lapsed.to_string(), "", self.id))
            .await;
        tokio::time::sleep(TICK).await;
    }

    /// Waits until the bastion has stopped waiting for what runs here. Sessions end by themselves
    /// (watch.rs), and the rest, a console or a jump, has as long as they.
    async fn stopped(&self) {
        self.house.stop.cancelled().await;
        let drain = self.house.config.session.drain;
        if self.table().len() > 0 {
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = self.house.now.cancelled() => {}
            }
            tokio::time::sleep(LAST_WORDS).await;
        }
        self.disconnect(say::one_line("this bastion stops", "", self.id))
            .await;
    }

    /// Ends the connection with a sentence that `ssh` prints.
    pub(crate) async fn disconnect(&self, text: String) {
        if let Some(handle) = self.handle() {
            let reason = russh::Disconnect::ByApplication;
            let said = handle.disconnect(reason, text, String::new());
            if !matches!(tokio::time::timeout(LAST_WORDS, said).await, Ok(Ok(()))) {
                tracing::debug!(connection = %self.id, "a goodbye was not taken");
            }
        }
    }
}

struct Kill(Arc<Flow>);

impl Drop for Kill {
    fn drop(&mut self) {
        self.0.kill();
    }
}
