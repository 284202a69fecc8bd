//! The only place that reads the time. Tests hold a clock that stands still until told.

use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Wall clock and monotonic clock together, so that nobody reads one where the other is meant.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { origin: Instant },
    Set(Arc<Mutex<SetTime>>),
}

#[derive(Debug)]
struct SetTime {
    wall: SystemTime,
    monotonic: Duration,
}

impl Clock {
    /// The machine's clocks. Monotonic time counts from this call.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock")]
    pub fn system() -> Self {
        Self(Kind::System {
            origin: Instant::now(),
        })
    }

    /// A clock that stands at `wall` until [`Clock::set_wall`] or [`Clock::advance`].
    pub fn standing_at(wall: SystemTime) -> Self {
        Self(Kind::Set(Arc::new(Mutex::new(SetTime {
            wall,
            monotonic: Duration::ZERO,
        }))))
    }

    /// Wall clock. It may step; never compute a duration from two of these.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock")]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Kind::System { .. } => SystemTime::now(),
            Kind::Set(time) => time.lock().unwrap_or_else(PoisonError::into_inner).wall,
        }
    }

    pub fn now_utc(&self) -> DateTime<Utc> {
        self.now().into()
    }

    /// Time since this clock was made. Never steps.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::System { origin } => origin.elapsed(),
            Kind::Set(time) => {
                time.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .monotonic
            }
        }
    }

    /// Moves a standing clock on. Does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Kind::Set(time) = &self.0 {
            let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
            time.wall += by;
            time.monotonic += by;
        }
    }

    /// Steps a standing clock's wall time, as an administrator or NTP does. Monotonic time stays.
    pub fn set_wall(&self, wall: SystemTime) {
        if let Kind::Set(time) = &self.0 {
            time.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
        }
    }
}

/// Below this a clock is being corrected, not set; chrony and ntpd slew that much away.
const STEP_MIN_MS: i64 = 1000;

/// Sees that the wall clock was set: it went on otherwise than monotonic time did.
#[derive(Debug)]
pub struct Steps {
    apart_ms: i64,
}

impl Steps {
    pub fn from(clock: &Clock) -> Self {
        Self {
            apart_ms: apart_ms(clock),
        }
    }

    /// Milliseconds that the wall clock was set on (or back) since the last look.
    pub fn look(&mut self, clock: &Clock) -> Option<i64> {
        let now = apart_ms(clock);
        let step = now.saturating_sub(self.apart_ms);
        self.apart_ms = now;
        (step.abs() >= STEP_MIN_MS).then_some(step)
    }
}

/// Wall clock less monotonic time.
fn apart_ms(clock: &Clock) -> i64 {
    let since = clock.monotonic().as_millis();
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    clock.now_utc().timestamp_millis().saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_seen_and_one_that_runs_is_not() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = Clock::standing_at(noon);
        let mut steps = Steps::from(&clock);
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(steps.look(&clock), None);
        clock.set_wall(noon);
        assert_eq!(steps.look(&clock), Some(-86_400_000));
        assert_eq!(steps.look(&clock), None);
        clock.set_wall(noon + Duration::from_millis(999));
        assert_eq!(steps.look(&clock), None, "slewed");
        clock.set_wall(noon + Duration::from_secs(3_600));
        assert_eq!(steps.look(&clock), Some(3_599_001));
    }

    #[test]
    fn a_step_of_the_wall_clock_leaves_monotonic_time_alone() {
        let clock = Clock::standing_at(SystemTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(5));
        clock.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
