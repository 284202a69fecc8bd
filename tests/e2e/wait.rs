//! Waiting for conditions, with an end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far above anything that is right, so that only what is wrong meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that has no signal of its own.
const LOOK: Duration = Duration::from_millis(20);

/// Returns what `look` finds, or fails with what was waited for.
#[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    let (_never, pause) = mpsc::channel::<()>();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        // Nobody sends: this is the pause between two looks.
        pause.recv_timeout(LOOK).unwrap_err();
    }
}

/// Keeps things as they are for that long: where a stall itself is what is tested.
pub(crate) fn hold(time: Duration) {
    let (_never, pause) = mpsc::channel::<()>();
    pause.recv_timeout(time).unwrap_err();
}
