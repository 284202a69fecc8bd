//! Which certificate a key last came in with. The SSH library refuses an expired certificate before
//! we see it; what is shown then is the bare key, and this says whose it was.

use crate::event::CertificateFacts;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keys that are remembered; a site with more forgets all and learns them again.
const KEYS_MAX: usize = 10_000;

#[derive(Default)]
pub struct Known {
    by_key: Mutex<HashMap<String, CertificateFacts>>,
}

impl Known {
    pub(crate) fn note(&self, facts: &CertificateFacts) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= KEYS_MAX && !by_key.contains_key(&facts.fingerprint) {
            by_key.clear();
        }
        by_key.insert(facts.fingerprint.clone(), facts.clone());
    }

    pub(crate) fn of(&self, fingerprint: &str) -> Option<CertificateFacts> {
        let by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.get(fingerprint).cloned()
    }
}
