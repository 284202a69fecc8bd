//! What a forward speaks, guessed from its first bytes. A label, never a permission; but SSH where
//! nobody may hide it is worth an alert.

use crate::event::{Direction, Entry, ForwardDirection, ForwardGuess, Kind, Outcome, Severity};
use crate::id::ChannelId;
use crate::inspect::guess::{From, Guess, Label};
use crate::proxy::session::Session;
use crate::proxy::tap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) struct Labeller {
    direction: ForwardDirection,
    /// SSH that nobody can read is allowed there.
    may_be_ssh: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    guess: Guess,
    decided: bool,
    heard: bool,
}

impl Labeller {
    pub(crate) fn new(direction: ForwardDirection, may_be_ssh: bool) -> Self {
        Self {
            direction,
            may_be_ssh,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes of a direction; an alert, once, if they are SSH that should not be there.
    pub(crate) fn feed(
        &self,
        direction: Direction,
        bytes: &[u8],
        (session, channel): (&Session, ChannelId),
    ) -> Option<Entry> {
        let is_ssh = {
            let mut state = self.state();
            if state.decided {
                return None;
            }
            state.heard = true;
            let label = state.guess.feed(self.side(direction), bytes)?;
            let is_ssh = *label == Label::Ssh;
            state.decided = true;
            is_ssh
        };
        (is_ssh && !self.may_be_ssh).then(|| {
            let message = "SSH goes through a forward that was not allowed for it: what is done in \
                           it is not recorded";
            let note = tap::note("ssh_in_forward", message, session.id());
            let severity = Severity::High;
            session
                .tap
                .on(channel, Kind::Alert { severity, note }, Outcome::Success)
        })
    }

    /// Who opened the stream: of a remote forward somebody at the target.
    fn side(&self, direction: Direction) -> From {
        match (self.direction, direction) {
            (ForwardDirection::Local, Direction::Input)
            | (ForwardDirection::Remote, Direction::Output | Direction::Stderr) => From::Opener,
            (ForwardDirection::Local, Direction::Output | Direction::Stderr)
            | (ForwardDirection::Remote, Direction::Input) => From::Answerer,
        }
    }

    /// At the end; `None` where no byte passed.
    pub(crate) fn label(&self) -> Option<ForwardGuess> {
        let mut state = self.state();
        if !state.heard {
            return None;
        }
        let label = state.guess.finish();
        Some(ForwardGuess {
            protocol: label.as_str().to_owned(),
            server_name: label.sni().map(str::to_owned),
        })
    }
}
