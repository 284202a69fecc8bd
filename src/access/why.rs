//! Where reason and ticket come from. First found wins: a grant, the certificate, the verb `why`, the
//! environment, the prompt.

use crate::event::{Why, is_dangerous};
use crate::identity::Identity;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Certificates that have said why by the verb; expired ones go first.
const SAID_MAX: usize = 10_000;

/// A reason stands in every event of its session, bytes.
const REASON_BYTES_MAX: usize = 1024;

/// Why a text is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {REASON_BYTES_MAX} bytes: shorten it")]
    TooLong,
    #[error("it has a control character")]
    Control,
}

/// A reason as a person gave it by verb, environment or prompt.
///
/// # Errors
/// [`BadReason`].
pub fn reason(text: &str) -> Result<String, BadReason> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadReason::Empty);
    }
    if text.len() > REASON_BYTES_MAX {
        return Err(BadReason::TooLong);
    }
    if text.chars().any(is_dangerous) {
        return Err(BadReason::Control);
    }
    Ok(text.to_owned())
}

/// Reasons set by the verb `why`, by certificate.
#[derive(Default)]
pub(crate) struct Said {
    by_certificate: Mutex<HashMap<(String, u64), (SystemTime, Why)>>,
}

impl Said {
    /// False when too many are set already.
    pub(crate) fn set(&self, who: &Identity, why: Why, until: SystemTime, now: SystemTime) -> bool {
        let mut said = self
            .by_certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, (until, _)| *until > now);
        let key = key(who);
        let fits = said.len() < SAID_MAX || said.contains_key(&key);
        if fits {
            said.insert(key, (until, why));
        }
        fits
    }

    fn of(&self, who: &Identity, now: SystemTime) -> Option<Why> {
        let said = self
            .by_certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (until, why) = said.get(&key(who))?;
        (*until > now).then(|| why.clone())
    }

    /// What holds for a session of this person, who said `now_said` for it.
    pub(crate) fn find(&self, who: &Identity, now_said: Option<&Why>, now: SystemTime) -> Why {
        let certificate = who.why();
        let has_reason = |why: &Why| why.justification.is_some() || why.grant.is_some();
        let verb = self.of(who, now);
        let candidates = [Some(certificate), verb.as_ref(), now_said];
        let found = candidates.into_iter().flatten().find(|why| has_reason(why));
        let mut why = found.unwrap_or(certificate).clone();
        // A ticket beside no reason is better than none.
        if why.ticket.is_none() {
            why.ticket = candidates
                .into_iter()
                .flatten()
                .find_map(|why| why.ticket.clone());
        }
        why.claimed = certificate.claimed.clone();
        why
    }
}

fn key(who: &Identity) -> (String, u64) {
    (who.facts().fingerprint.clone(), who.facts().serial)
}
