use super::Parts;
use super::names::Names;
use super::trust::Keeper;
use super::watch::Watcher;
use crate::ca::{self, Signer};
use crate::config::Config;
use crate::proxy::{Budget, Dialler, Hosts, House, Known, Limiter, Live, Verbs, listen};
use crate::sink::{Index, SearchIndex};
use anyhow::Context;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that wait to be accepted: the kernel's own default.
const BACKLOG: u32 = 1024;
/// From the end of sessions to the end of their connections.
const CLOSING_MAX: Duration = Duration::from_secs(15);

/// The bastion, until it is told to stop. `control` runs beside it until `stop`.
///
/// # Errors
/// What kept it from starting, or from writing what it had to at the end.
pub async fn run<F>(
    config: Config,
    verbs: impl FnOnce(&Parts) -> Arc<dyn Verbs>,
    control: impl FnOnce(Arc<House>, Arc<dyn Verbs>, CancellationToken) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let config = Arc::new(config);
    let parts = Parts::open(Arc::clone(&config)).await?;
    // Before anybody can see that it runs: whoever stops it then gets an end in order too.
    let mut told = Told::new()?;
    let (trust, trusted) = Keeper::open(&config, &parts.recorder, &parts.clock).await?;
    let proxy = Arc::new(config.proxy.clone());
    let host_key = ca::load_private(&proxy.host_key)?;
    let host_ca = Signer::open(&config.host_ca).await.context("the host CA")?;
    let target_ca = Signer::open(&config.target_ca)
        .await
        .context("the target CA")?;
    let verbs = verbs(&parts);
    let stop = CancellationToken::new();
    let house = Arc::new(House {
        clock: parts.clock.clone(),
        desk: parts.desk.clone(),
        recorder: parts.recorder.clone(),
        trust: trusted,
        dialler: Dialler::new(parts.clock.clone(), target_ca, &proxy),
        hosts: Hosts::new(host_key, host_ca, Arc::clone(&proxy)),
        verbs: Arc::clone(&verbs),
        limiter: Limiter::new(proxy.limits),
        budget: Budget::new(proxy.limits.memory_bytes),
        live: Arc::new(Live::default()),
        known: Known::default(),
        logins_closed: trust.logins_closed(),
        stop: stop.clone(),
        now: CancellationToken::new(),
        tasks: TaskTracker::new(),
        config: proxy,
    });
    let side = TaskTracker::new();
    let late = CancellationToken::new();
    side.spawn(index(parts.clone(), late.clone()));
    side.spawn(search_index(&parts, late.clone()));
    // Rights are looked at, and revoked, for as long as sessions run.
    side.spawn(control(Arc::clone(&house), verbs, late.clone()));
    side.spawn(Watcher::new(&parts, trust).run(late.clone()));
    side.spawn(Names::first(parts.desk.clone()).await.run(late.clone()));
    for address in &house.config.listen {
        let listener = listener(*address).with_context(|| {
            format!("cannot listen on {address}: has another program the port? `ss -ltnp` shows it")
        })?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        side.spawn(listen::run(Arc::clone(&house), listener));
    }
    // A full disk or a failed journal ends sessions, not the bastion: the operator can still look.
    told.stop().await;
    tracing::info!("stopping: sessions are told");
    stop.cancel();
    house.tasks.close();
    wait_for_sessions(&house, &mut told).await;
    late.cancel();
    side.close();
    side.wait().await;
    drop(house);
    parts.close().await
}

/// Each for its own family, so that `0.0.0.0` and `[::]` stand beside each other.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn index(parts: Parts, stop: CancellationToken) {
    let lines = parts.recorder.audit_lines();
    let index = Index {
        store: parts.store,
        recordings: parts.archive,
        recorder: parts.recorder,
    };
    index.run(lines, stop).await;
}

/// Listens from here on: no session has begun yet.
fn search_index(parts: &Parts, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
    let lines = parts.recorder.audit_lines();
    let index = SearchIndex {
        store: parts.store.clone(),
        recordings: parts.archive.clone(),
        recorder: parts.recorder.clone(),
        screen: parts.config.index_screen,
        started: parts.clock.now_utc(),
    };
    async move { index.run(lines, stop).await }
}

/// The signals of whoever stops the bastion.
struct Told {
    terminate: Signal,
    interrupt: Signal,
}

impl Told {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A second signal skips the waiting, never the closing.
async fn wait_for_sessions(house: &House, told: &mut Told) {
    let longest = house.config.session.drain + Duration::from_secs(15);
    tokio::select! {
        () = house.tasks.wait() => {}
        () = tokio::time::sleep(longest) => tracing::warn!("connections did not end in time"),
        () = told.stop() => tracing::warn!("told twice: not waiting for sessions"),
    }
    // Each session still says why it ended, and is closed.
    house.now.cancel();
    let closing = tokio::time::timeout(CLOSING_MAX, house.tasks.wait());
    if closing.await.is_err() {
        tracing::warn!("some connections had to be cut off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_families_have_the_same_port() {
        let four = listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = four.local_addr().unwrap().port();
        // All addresses of the other family, and not of both.
        let six = listener(SocketAddr::new("::".parse().unwrap(), port)).unwrap();
        assert_eq!(six.local_addr().unwrap().port(), port);
    }
}
