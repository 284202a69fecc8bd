//! What the bastion shows as a host: its own stable key at the door, and for a jump a certificate for
//! the one name that was asked for.

use super::algorithms;
use crate::ca::{self, Signer};
use crate::id::TargetName;
use crate::proxy::config::Config;
use crate::proxy::pumps::flow::{WINDOW_BIG, WINDOW_TIGHT};
use russh::keys::ssh_key::{Certificate, PrivateKey};
use russh::server;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Half of what a host certificate lives.
const RENEW_AFTER: Duration = Duration::from_secs(12 * 3600);
/// Names come from configured targets and patterns; beyond this the cache starts anew.
const NAMES_MAX: usize = 4096;

/// The same settings with a big first window and with a small one.
#[derive(Clone)]
struct Windows {
    big: Arc<server::Config>,
    tight: Arc<server::Config>,
}

impl Windows {
    fn new(key: &PrivateKey, certificates: &[Certificate], config: &Config) -> Self {
        let with = |window| {
            let keys = vec![key.clone()];
            let made = algorithms::server_config(keys, certificates.to_vec(), window, config);
            Arc::new(made)
        };
        Self {
            big: with(WINDOW_BIG),
            tight: with(WINDOW_TIGHT),
        }
    }

    fn get(&self, tight: bool) -> Arc<server::Config> {
        Arc::clone(if tight { &self.tight } else { &self.big })
    }
}

pub struct Hosts {
    key: PrivateKey,
    ca: Signer,
    outer: Windows,
    config: Arc<Config>,
    inner: Mutex<HashMap<TargetName, (SystemTime, Windows)>>,
}

impl Hosts {
    pub fn new(key: PrivateKey, ca: Signer, config: Arc<Config>) -> Self {
        let outer = Windows::new(&key, &[], &config);
        Self {
            key,
            ca,
            outer,
            config,
            inner: Mutex::new(HashMap::new()),
        }
    }

    /// `tight`: there is little left to give (pumps/budget.rs).
    pub(crate) fn outer(&self, tight: bool) -> Arc<server::Config> {
        self.outer.get(tight)
    }

    /// For a name that `access` has found: the only names certificates are made for.
    pub(crate) async fn inner(
        &self,
        name: &TargetName,
        tight: bool,
        now: SystemTime,
    ) -> Result<Arc<server::Config>, ca::Error> {
        if let Some(ready) = self.cached(name, now) {
            return Ok(ready.get(tight));
        }
        let certificate: Certificate =
            ca::issue_host(&self.ca, self.key.public_key(), name.as_str(), now).await?;
        let ready = Windows::new(&self.key, &[certificate], &self.config);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.len() >= NAMES_MAX {
            inner.clear();
        }
        let config = ready.get(tight);
        inner.insert(name.clone(), (now, ready));
        Ok(config)
    }

    fn cached(&self, name: &TargetName, now: SystemTime) -> Option<Windows> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, ready) = inner.get(name)?;
        // A clock that went back makes an age that cannot be told: make a new one.
        let age = now.duration_since(*made).ok()?;
        (age < RENEW_AFTER).then(|| ready.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::KeySource;
    use crate::proxy::config::{Limits, Session};
    use std::time::UNIX_EPOCH;

    async fn hosts() -> (Hosts, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("host_ca");
        ca::generate(&file, "host CA").unwrap();
        let config = Config {
            listen: Vec::new(),
            host_key: file.clone(),
            names: Vec::new(),
            notice: None,
            node: "node".to_owned(),
            certificate_hint: String::new(),
            limits: Limits::default(),
            session: Session::default(),
        };
        let key = ca::load_private(&file).unwrap();
        let signer = Signer::open(&KeySource::File(file)).await.unwrap();
        (Hosts::new(key, signer, Arc::new(config)), dir)
    }

    #[tokio::test]
    async fn a_certificate_names_one_host_for_a_day_at_most_and_is_renewed() {
        let (hosts, _dir) = hosts().await;
        let name: TargetName = "db1".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = async |after: Duration| hosts.inner(&name, false, now + after).await.unwrap();
        let first = at(Duration::ZERO).await;
        let certificate = &first.certificates[0];
        assert_eq!(certificate.valid_principals(), ["db1"]);
        let lives = certificate.valid_before() - certificate.valid_after();
        assert!(lives <= 24 * 3600, "{lives} s");
        let soon = at(RENEW_AFTER - Duration::from_secs(1)).await;
        assert!(Arc::ptr_eq(&first, &soon));
        let later = at(RENEW_AFTER).await;
        assert!(later.certificates[0].valid_before() > certificate.valid_before());
        let other = hosts
            .inner(&"db2".parse().unwrap(), true, now)
            .await
            .unwrap();
        assert_eq!(other.certificates[0].valid_principals(), ["db2"]);
        assert_eq!(
            (first.window_size, other.window_size),
            (WINDOW_BIG, WINDOW_TIGHT)
        );
        assert!(
            hosts.outer(false).certificates.is_empty(),
            "the door shows its key"
        );
    }
}
