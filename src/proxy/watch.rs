//! A right is asked again while it is used: expiry, revocation, policy, idleness, the disk, shutdown.
//! One task a session; it ends with the session, and ends the session.

use super::connection::Connection;
use super::session::{Session, time_left};
use crate::clock::Steps;
use crate::event::{End, Entry, Kind, Outcome};
use crate::identity::{self, Identity, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const STOPS: &str = "this bastion stops";
/// The wall clock may step, so no timer sleeps for longer than this.
const TICK: Duration = Duration::from_secs(1);
/// Policies may depend on the time: without a change of anything else they are asked again so often.
/// A few dozen microseconds a session.
const ASK_AGAIN: Duration = Duration::from_secs(10);
const WARNINGS: [(Duration, &str); 2] = [
    (Duration::from_secs(60), "1 minute"),
    (Duration::from_secs(300), "5 minutes"),
];

struct Watch {
    session: Arc<Session>,
    connection: Arc<Connection>,
    who: Arc<Identity>,
    /// The smallest warning given so far.
    warned: Option<Duration>,
    /// The bastion stops, and the session with it at this time, monotonic.
    stops_at: Option<Duration>,
    /// When policy was asked, monotonic.
    asked_at: Duration,
    steps: Steps,
}

/// Runs until the session ends, for whatever reason.
pub(crate) async fn run(
    session: Arc<Session>,
    connection: Arc<Connection>,
    mut renewed: watch::Receiver<Arc<Identity>>,
) {
    let house = Arc::clone(&session.house);
    let mut trust = house.trust.clone();
    let mut rights = house.desk.changed();
    let must_stop = house.recorder.must_stop();
    let who = Arc::clone(session.permit().who());
    let mut watch = Watch {
        steps: Steps::from(&house.clock),
        session,
        connection,
        who,
        warned: None,
        stops_at: None,
        asked_at: house.clock.monotonic(),
    };
    // What changed since the decision was seen by nobody.
    watch.check_trust();
    watch.ask_again();
    loop {
        tokio::select! {
            () = watch.session.ended() => break,
            () = watch.session.over.cancelled() => return,
            () = watch.connection.over.cancelled() => return,
            () = must_stop.cancelled() => {
                let why = house.recorder.why_stopped().map_or_else(String::new, |why| format!(" ({why})"));
                let text = format!("the bastion cannot record any more, so every session ends{why}");
                watch.session.end(End::Recorder, text);
            }
            () = house.now.cancelled() => watch.session.end(End::Shutdown, STOPS),
            () = house.stop.cancelled(), if watch.stops_at.is_none() => watch.begin_drain(),
            Ok(()) = renewed.changed() => {
                let newer = Arc::clone(&renewed.borrow_and_update());
                // What the session began under is no news.
                if !Arc::ptr_eq(&newer, &watch.who) {
                    watch.renew(newer).await;
                }
            }
            Ok(()) = trust.changed() => watch.check_trust(),
            Ok(()) = rights.changed() => watch.ask_again(),
            () = tokio::time::sleep(watch.next_look()) => watch.look().await,
        }
    }
    watch.connection.end_soon().await;
}

impl Watch {
    fn next_look(&self) -> Duration {
        let left = time_left(&self.session, &self.who).unwrap_or_default();
        let now = self.session.house.clock.monotonic();
        let drain = self.stops_at.map(|at| at.saturating_sub(now));
        left.min(TICK).min(drain.unwrap_or(TICK))
    }

    async fn look(&mut self) {
        self.check_identity();
        if let Some(step_ms) = self.steps.look(&self.session.house.clock) {
            let event = self
                .session
                .tap
                .audit(Kind::Clock { step_ms }, Outcome::Success);
            if let Err(error) = self.session.recording.append(Entry::audit(event)).await {
                tracing::error!(%error, "a step of the clock was not recorded");
            }
        }
        self.warn();
        let now = self.session.house.clock.monotonic();
        if now.saturating_sub(self.asked_at) >= ASK_AGAIN {
            self.asked_at = now;
            self.ask_again();
        }
        if self.stops_at.is_some_and(|at| now >= at) {
            self.session.end(End::Shutdown, STOPS);
        }
        let settings = &self.session.house.config.session;
        if settings
            .idle
            .is_some_and(|idle| self.session.idle_for() >= idle)
        {
            self.session
                .end(End::Idle, "this session was idle for too long");
        }
        let elapsed = self.session.recording.elapsed();
        if settings.max_duration.is_some_and(|max| elapsed >= max) {
            self.session.end(
                End::MaxDuration,
                "this session has lasted as long as a session may",
            );
        }
    }

    fn check_identity(&self) {
        let house = &self.session.house;
        let checked = identity::recheck(&self.who, &house.trust_now(), house.clock.now());
        if let Err(refusal) = checked {
            let end = if refusal == Refusal::Expired {
                End::Expired
            } else {
                End::Revoked
            };
            let hint = &house.config.certificate_hint;
            let text = format!("this session ends: {refusal}; to go on: {hint}");
            self.session.end(end, text);
        }
    }

    /// The mapping of groups, or what a CA is believed for, may have changed what policy sees.
    fn check_trust(&mut self) {
        self.check_identity();
        let trust = self.session.house.trust_now();
        if let Some(newer) = identity::regarded_now(&self.who, &trust) {
            self.who = Arc::new(newer);
            self.ask_again();
        }
    }

    fn ask_again(&self) {
        let permit = self.session.permit().clone();
        let source = self.connection.source.ip();
        let desk = &self.session.house.desk;
        match desk.readmit(&permit, &self.who, source, self.session.door) {
            Ok(permit) => self.session.go_on_under(permit),
            Err(denied) => self
                .session
                .end(End::Policy, format!("your rights have changed: {denied}")),
        }
    }

    /// A newer certificate carries the session on where policy still allows it.
    async fn renew(&mut self, newer: Arc<Identity>) {
        let permit = self.session.permit().clone();
        let source = self.connection.source.ip();
        let desk = &self.session.house.desk;
        let Ok(permit) = desk.readmit(&permit, &newer, source, self.session.door) else {
            return;
        };
        let kind = Kind::SessionRenew {
            certificate: super::session::openssh_text(newer.certificate()),
        };
        let entry = Entry::audit(self.session.tap.audit(kind, Outcome::Success));
        if self.session.recording.append(entry).await.is_ok() {
            self.session.go_on_under(permit);
            self.who = newer;
            self.warned = None;
        }
    }

    fn warn(&mut self) {
        let Some(left) = time_left(&self.session, &self.who) else {
            return;
        };
        if let Some((mark, words)) = due(left, self.warned) {
            self.warned = Some(mark);
            let text = format!(
                "your certificate ends in less than {words}, and this session with it; a newer one \
                 of the same key, used once on this bastion, carries it on"
            );
            // Nobody listens: no channel has a terminal.
            let told = self.session.notices.send(text.into());
            tracing::debug!(terminals = told.unwrap_or(0), "warned of expiry");
        }
    }

    /// The bastion stops: sessions are told and get `drain`.
    fn begin_drain(&mut self) {
        let drain = self.session.house.config.session.drain;
        let text = format!(
            "this bastion stops in {} s: finish what you do",
            drain.as_secs()
        );
        let told = self.session.notices.send(text.into());
        tracing::debug!(terminals = told.unwrap_or(0), "told of shutdown");
        self.stops_at = Some(self.session.house.clock.monotonic() + drain);
    }
}

/// The warning that is due, once: the smallest mark that is passed.
fn due(left: Duration, warned: Option<Duration>) -> Option<(Duration, &'static str)> {
    let passed = WARNINGS.into_iter().find(|(mark, _)| left <= *mark)?;
    warned
        .is_none_or(|warned| passed.0 < warned)
        .then_some(passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::time::SystemTime;

    /// A second at a time, with a clock that is set back in between.
    #[test]
    fn each_warning_comes_once_whatever_the_clock_does() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = Clock::standing_at(end - Duration::from_secs(302));
        let (mut warned, mut told) = (None, Vec::new());
        let mut set_back = false;
        while let Ok(left) = end.duration_since(clock.now()) {
            if let Some((mark, words)) = due(left, warned) {
                warned = Some(mark);
                told.push((left.as_secs(), words));
            }
            if left.as_secs() == 200 && !set_back {
                set_back = true;
                clock.set_wall(end - Duration::from_secs(400));
            }
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(told, [(300, "5 minutes"), (60, "1 minute")]);
        assert_eq!(due(Duration::from_secs(301), None), None);
        assert_eq!(due(Duration::from_secs(7), None).unwrap().1, "1 minute");
    }
}
