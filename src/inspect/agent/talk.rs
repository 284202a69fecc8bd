//! One conversation: a request of the target, its answer, the next request.

use super::ask::{self, Asked};
use super::messages::{MESSAGE_BYTES_MAX, Messages, framed};
use crate::event::{AgentAnswer, Kind, Outcome};
use crate::inspect::fields::Fields;
use crate::inspect::files::Finding;

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION_FAILURE: u8 = 28;
const EXTENSION_RESPONSE: u8 = 29;

/// A side does not speak the protocol: the channel must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("a message of {0} bytes, from 1 to {max} are possible", max = MESSAGE_BYTES_MAX)]
    Length(usize),
    #[error("an answer to nothing that was asked")]
    Unasked,
    #[error("a request before the last one was answered")]
    Early,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruled {
    /// For the person's agent: its answer comes before the next request is read.
    Forward { found: Finding, bytes: Vec<u8> },
    /// The bastion's own no, for the target.
    Refuse { found: Finding, bytes: Vec<u8> },
}

/// What the agent answered, for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub found: Finding,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Talk {
    requests: Messages,
    answers: Messages,
    asked: Option<Asked>,
}

impl Talk {
    /// The next request in `bytes`, which are taken off; `None` when they hold no whole one.
    ///
    /// # Errors
    /// They are none, or it is not the target's turn ([`Talk::is_waiting`]).
    pub fn request(&mut self, bytes: &mut &[u8]) -> Result<Option<Ruled>, Bad> {
        if self.asked.is_some() {
            return Err(Bad::Early);
        }
        let Some(message) = self.requests.next(bytes)? else {
            return Ok(None);
        };
        let (asked, kind) = ask::read(&message);
        self.asked = asked;
        Ok(Some(match asked {
            Some(_) => Ruled::Forward {
                found: Finding {
                    kind,
                    outcome: Outcome::Success,
                },
                bytes: framed(&message),
            },
            None => Ruled::Refuse {
                found: Finding {
                    kind,
                    outcome: Outcome::Denied,
                },
                bytes: framed(&[FAILURE]),
            },
        }))
    }

    /// The next bytes of the person's agent.
    ///
    /// # Errors
    /// They are no answer, or nothing was asked.
    pub fn answer(&mut self, bytes: &mut &[u8]) -> Result<Option<Said>, Bad> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let Some(asked) = self.asked else {
            return Err(Bad::Unasked);
        };
        let Some(message) = self.answers.next(bytes)? else {
            return Ok(None);
        };
        self.asked = None;
        Ok(Some(said(asked, &message)))
    }

    /// The agent has been asked and has not answered.
    pub fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// A side stopped in the middle of a message.
    pub fn is_cut(&self) -> bool {
        self.requests.is_inside() || self.answers.is_inside()
    }
}

fn said(asked: Asked, message: &[u8]) -> Said {
    let (number, rest) = message.split_first().unwrap_or((&FAILURE, &[]));
    let mut keys = None;
    let (answer, outcome) = match (asked, *number) {
        (_, FAILURE | EXTENSION_FAILURE) => ("failure", Outcome::Failure),
        (Asked::List, IDENTITIES_ANSWER) => {
            keys = Fields(rest).u32();
            ("identities", Outcome::Success)
        }
        (Asked::Sign, SIGN_RESPONSE) => ("signature", Outcome::Success),
        (Asked::Bind | Asked::Query, SUCCESS) => ("success", Outcome::Success),
        (Asked::Query, EXTENSION_RESPONSE) => ("extension", Outcome::Success),
        (Asked::List | Asked::Sign | Asked::Bind | Asked::Query, _) => {
            ("unexpected", Outcome::Error)
        }
    };
    let fact = AgentAnswer {
        request: asked.as_str().to_owned(),
        answer: answer.to_owned(),
        keys,
        bytes: message.len() as u64,
    };
    let bytes = match outcome {
        Outcome::Error => framed(&[FAILURE]),
        Outcome::Success | Outcome::Failure | Outcome::Denied | Outcome::Unknown => framed(message),
    };
    Said {
        found: Finding {
            kind: Kind::AgentAnswer(Box::new(fact)),
            outcome,
        },
        bytes,
    }
}
