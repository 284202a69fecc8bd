//! A thread that does nothing but look: is the disk slow, does it stand still, is it full?
//!
//! ```text
//! write over 250 ms, no sync for 1 s     alert; no new sessions until it is over
//! 10 s                                   sessions end
//! no further segment, one in reserve     sessions end; what they have to say goes into the reserve
//! free space under the marks             alert; no new sessions
//! ```

use super::Error;
use super::disk::Space;
use super::journal::{Health, STUCK};
use super::recorder::Inner;
use crate::event::Severity;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);
const WRITE_SLOW: Duration = Duration::from_millis(250);
const SYNC_SLOW: Duration = Duration::from_secs(1);
const DISK_LOOK: Duration = Duration::from_secs(1);

pub(crate) struct Watchdog {
    inner: Arc<Inner>,
    slow_since: Option<Duration>,
    stopped: bool,
    warned: bool,
    refused: bool,
    disk_looked: Option<Duration>,
}

impl Watchdog {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            slow_since: None,
            stopped: false,
            warned: false,
            refused: false,
            disk_looked: None,
        }
    }

    pub(crate) fn run(mut self) {
        while !self.inner.stopping.load(Ordering::SeqCst) {
            self.look();
            std::thread::park_timeout(LOOK);
        }
    }

    pub(crate) fn look(&mut self) {
        let health = self.inner.journal.health();
        self.look_at_speed(&health);
        self.look_at_stop(&health);
        self.inner.alert_of_replaced(health.replaced);
        let now = self.inner.clock.monotonic();
        let due = self
            .disk_looked
            .is_none_or(|at| now.saturating_sub(at) >= DISK_LOOK);
        if due {
            self.disk_looked = Some(now);
            self.look_at_disk();
        }
    }

    fn look_at_speed(&mut self, health: &Health) {
        let slow = health.write_age > WRITE_SLOW
            || health.sync_age > SYNC_SLOW
            || health.trouble_age > WRITE_SLOW;
        self.inner.slow.send_if_modified(|was| {
            let changed = *was != slow;
            *was = slow;
            changed
        });
        let now = self.inner.clock.monotonic();
        match self.slow_since {
            None if slow => {
                self.slow_since = Some(now);
                let text = "the disk of the journal is slow: sessions wait, and no new one opens";
                self.inner.alert(Severity::Medium, "disk_slow", text);
            }
            Some(since) if !slow => {
                self.slow_since = None;
                let ms = now.saturating_sub(since).as_millis();
                let text = format!("the disk of the journal keeps up again, after {ms} ms");
                self.inner.alert(Severity::Low, "disk_slow_over", &text);
            }
            None | Some(_) => {}
        }
    }

    /// Level, not edge: a session that opened at the very moment is ended at the next look.
    fn look_at_stop(&mut self, health: &Health) {
        let age = health
            .write_age
            .max(health.sync_age)
            .max(health.trouble_age);
        let reserve_only = health.ready <= 1;
        let why = match &health.prepare_error {
            Some(error) if reserve_only => Some(error.clone()),
            _ if age > STUCK => Some(health.trouble.clone().unwrap_or(Error::Slow(STUCK))),
            _ => None,
        };
        let first = why.is_some() && !self.stopped;
        self.stopped = why.is_some();
        self.inner.set_stopped(why.clone());
        if let Some(error) = why.filter(|_| first) {
            tracing::error!(%error, "every session ends: it cannot be recorded");
            let text = format!("every session ends, for it cannot be recorded: {error}");
            self.inner.alert(Severity::High, "recorder_stopped", &text);
        }
    }

    fn look_at_disk(&mut self) {
        let Some(space) = Space::of(&self.inner.config.dir) else {
            return;
        };
        self.inner.free_bytes.store(space.free, Ordering::Relaxed);
        let whole = space;
        let space = self.inner.ballast.deduct(whole);
        self.inner.ballast.fill(whole);
        let warn = space.is_below(self.inner.config.warn_free);
        let refuse = space.is_below(self.inner.config.refuse_free);
        self.inner.accepts.store(!refuse, Ordering::SeqCst);
        let mib = space.free / (1024 * 1024);
        if refuse && !self.refused {
            let text = format!("{mib} MiB are left for recordings: no new session opens");
            self.inner.alert(Severity::High, "disk_full", &text);
        } else if warn && !self.warned && !refuse {
            let text = format!("{mib} MiB are left for recordings: make room soon");
            self.inner.alert(Severity::Medium, "disk_low", &text);
        }
        self.refused = refuse;
        self.warned = warn;
    }
}
