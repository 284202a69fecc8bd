//! The embedded target: an SSH server on loopback that gives the caller's own shell, to nobody but
//! the installation's bastion.

use super::admission::Admission;
use super::keys;
use super::visitor::Visitor;
use crate::clock::Clock;
use russh::MethodKind;
use russh::MethodSet;
use russh::keys::ssh_key::{HashAlg, PublicKey};
use russh::server::{Config, run_stream};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at once; the next one waits in the backlog. A try-out has a few.
const CONNECTIONS_MAX: usize = 64;
/// A descriptor may come free meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longer than any grace time, so that idle strangers go.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// A running target. Dropping it ends its sessions.
pub struct Target {
    pub address: SocketAddr,
    /// SHA-256 of the host key, as `host = { keys = [...] }` wants it.
    pub fingerprint: String,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Starts a target whose account `login` opens to certificates of `target_ca` only.
///
/// # Errors
/// When loopback has no port left or the system no random numbers.
pub async fn target(target_ca: &PublicKey, login: &str, clock: Clock) -> io::Result<Target> {
    let host_key = keys::fresh()?;
    let fingerprint = host_key.fingerprint(HashAlg::Sha256).to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let config = Arc::new(Config {
        keys: vec![host_key],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: Some(IDLE_MAX),
        nodelay: true,
        ..Config::default()
    });
    let stop = CancellationToken::new();
    let admission = Arc::new(Admission::new(login, target_ca));
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(listener, config, admission, clock, stop.clone()));
    Ok(Target {
        address,
        fingerprint,
        stop,
        tasks,
    })
}

impl Target {
    /// Ends its sessions and waits for them.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: TcpListener,
    config: Arc<Config>,
    admission: Arc<Admission>,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut visits = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if visits.len() < CONNECTIONS_MAX => accepted,
            Some(_) = visits.join_next() => continue,
            () = stop.cancelled() => break,
        };
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the demo's target could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let visitor = Visitor::new(Arc::clone(&admission), clock.clone(), source.ip());
        let config = Arc::clone(&config);
        visits.spawn(async move {
            // Strangers hang up as they like; that is their own affair.
            let ended = match run_stream(config, stream, visitor).await {
                Ok(running) => running.await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the demo's target ended");
            }
        });
    }
    visits.shutdown().await;
}
