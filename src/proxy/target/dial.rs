//! Opens the target side: name, TCP, SSH, host verified, logged in with a certificate made for this
//! session. No [`Permit`], no socket.

use super::hostkey::{HostRefused, HostVerifier};
use crate::access::{Permit, SourceAddress, Target, TargetAuth};
use crate::ca::{self, SessionCertificate, Signer};
use crate::clock::Clock;
use crate::event::HostKey;
use crate::id::SessionId;
use crate::proxy::config::Config;
use crate::proxy::entry::algorithms;
use russh::client;
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::ssh_key::HashAlg;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

/// Of one name; more are not tried.
const ADDRESSES_MAX: usize = 8;
/// RFC 8305 §5 ("Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A dead target is noticed after about a minute without its TCP answering.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const TCP_USER_TIMEOUT_MS: u32 = 60_000;

/// Why there is no target side. `Display` is for the person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("the name `{host}` of the target cannot be resolved")]
    Resolve { host: String },
    #[error("the target's name leads to an address that this bastion does not connect to")]
    Forbidden,
    #[error("cannot connect to the target at {address}: {source}")]
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the target did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error(transparent)]
    Host(#[from] HostRefused),
    #[error("the target's SSH failed: {0}")]
    Ssh(#[from] russh::Error),
    #[error("the target does not accept the bastion's login as `{login}`")]
    Refused { login: String },
    #[error("cannot make the login for the target: {0}")]
    Key(#[from] ca::Error),
    #[error("the connection to the target ended while it was being set up")]
    Gone,
}

impl DialError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Forbidden => "forbidden_address",
            Self::Connect { .. } => "connect",
            Self::Timeout(_) => "timeout",
            Self::Host(_) => "host_key",
            Self::Ssh(_) => "ssh",
            Self::Refused { .. } => "login_refused",
            Self::Key(_) => "key",
            Self::Gone => "gone",
        }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Resolve { .. } | Self::Forbidden => {
                "the operator corrects `address` of the target in portcullis.toml".to_owned()
            }
            Self::Connect { .. } | Self::Timeout(_) | Self::Gone => {
                "try again; if it stays so, the target or the way to it is down".to_owned()
            }
            Self::Host(HostRefused::Unknown { shown, .. }) => format!(
                "if that key is right, the operator writes `host = {{ keys = [\"{shown}\"] }}` for the target"
            ),
            Self::Host(_) => "do not go on before your operator has looked at it".to_owned(),
            Self::Ssh(_) => "the operator looks at the sshd of the target".to_owned(),
            Self::Refused { .. } => {
                "the operator runs the script of `portcullis target-setup` on the target".to_owned()
            }
            Self::Key(_) => "`portcullis doctor` on the bastion says more".to_owned(),
        }
    }

    pub(crate) fn gone() -> Self {
        Self::Gone
    }
}

/// What dialling needs of the house.
pub struct Dialler {
    pub clock: Clock,
    pub target_ca: Signer,
    pub(crate) config: Arc<client::Config>,
    pub(crate) timeout: Duration,
}

impl Dialler {
    pub fn new(clock: Clock, target_ca: Signer, config: &Config) -> Self {
        Self {
            clock,
            target_ca,
            config: Arc::new(algorithms::client_config(config)),
            timeout: config.session.dial_timeout,
        }
    }
}

/// A logged-in target side.
pub(crate) struct Dialled<H: client::Handler> {
    pub(crate) handle: client::Handle<H>,
    pub(crate) address: SocketAddr,
    pub(crate) host_key: HostKey,
    /// Absent when a key from a file was used.
    pub(crate) key_id: Option<String>,
}

impl<H: client::Handler> Dialled<H> {
    pub(crate) fn method(&self) -> &'static str {
        match self.key_id {
            Some(_) => "certificate",
            None => "key",
        }
    }
}

/// What a login at the target is for: its certificate permits that and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The channel has a terminal.
    pub(crate) pty: bool,
    /// A forward goes through it.
    pub(crate) port_forwarding: bool,
    /// The person's agent may be used from there.
    pub(crate) agent_forwarding: bool,
}

/// Everything under one deadline. `permitted` is asked about each address a name leads to.
pub(crate) async fn dial<H, S>(
    dialler: &Dialler,
    permit: &Permit,
    session: SessionId,
    needs: Needs,
    permitted: impl Fn(&Target, IpAddr) -> bool,
    wrap: impl FnOnce(TcpStream) -> S,
    handler: impl FnOnce(Arc<HostVerifier>) -> H,
) -> Result<Dialled<H>, DialError>
where
    H: client::Handler<Error = russh::Error> + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let work = async {
        let stream = connect(permit.target(), dialler.timeout / 2, permitted).await?;
        let (address, local) = match (stream.peer_addr(), stream.local_addr()) {
            (Ok(address), Ok(local)) => (address, local),
            (Err(_), _) | (_, Err(_)) => return Err(DialError::Gone),
        };
        let target = Arc::clone(permit.target());
        let now = dialler.clock.now();
        // Reads files: not on a thread of the runtime.
        let verifier = tokio::task::spawn_blocking(move || HostVerifier::load(&target, now))
            .await
            .map_err(|_| DialError::Gone)??;
        let side = handler(Arc::clone(&verifier));
        let connected =
            client::connect_stream(Arc::clone(&dialler.config), wrap(stream), side).await;
        // The verdict on the host says more than the key exchange that failed on it.
        let host_key = match verifier.verdict() {
            Some(Ok(host_key)) => host_key,
            Some(Err(refused)) => return Err(refused.into()),
            None => return Err(connected.err().map_or(DialError::Gone, DialError::Ssh)),
        };
        let mut handle = connected?;
        let key_id = log_in(dialler, permit, session, needs, local.ip(), &mut handle).await?;
        Ok(Dialled {
            handle,
            address,
            host_key,
            key_id,
        })
    };
    tokio::time::timeout(dialler.timeout, work)
        .await
        .map_err(|_| DialError::Timeout(dialler.timeout))?
}

pub(crate) async fn connect(
    target: &Target,
    lookup_within: Duration,
    permitted: impl Fn(&Target, IpAddr) -> bool,
) -> Result<TcpStream, DialError> {
    let resolve = || DialError::Resolve {
        host: target.host.clone(),
    };
    let found = lookup_host((target.host.as_str(), target.port));
    let found = tokio::time::timeout(lookup_within, found).await;
    let found = found.map_err(|_| resolve())?.map_err(|_| resolve())?;
    let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() {
        return Err(resolve());
    }
    let allowed = found
        .into_iter()
        .filter(|address| permitted(target, address.ip()));
    race(in_turns(allowed.collect())).await
}

/// The families in turns, beginning with the one that the system prefers (RFC 8305 §4): one of them
/// may be broken as a whole.
fn in_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = found.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, other): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let mut other = other.into_iter();
    let mut turns = Vec::new();
    for address in preferred {
        turns.push(address);
        turns.extend(other.next());
    }
    turns.extend(other);
    turns
}

/// The first that answers. A silent address holds the next one up for a moment only (RFC 8305 §5);
/// one that refuses, not at all. Dropping it drops the attempts.
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut last = DialError::Forbidden;
    loop {
        if let Some(address) = waiting.next() {
            running.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        tokio::select! {
            done = running.join_next() => match done {
                None => return Err(last),
                Some(Ok((address, stream))) => match stream.and_then(prepared) {
                    Ok(stream) => return Ok(stream),
                    Err(source) => last = DialError::Connect { address, source },
                },
                Some(Err(_)) => last = DialError::Gone,
            },
            () = tokio::time::sleep(ATTEMPT_DELAY) => {}
        }
    }
}

/// Keepalives of SSH are not counted on this side, so TCP itself must notice a dead target.
fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, TCP_KEEPALIVE)?;
    sockopt::set_tcp_user_timeout(&stream, TCP_USER_TIMEOUT_MS)?;
    Ok(stream)
}

async fn log_in<H: client::Handler>(
    dialler: &Dialler,
    permit: &Permit,
    session: SessionId,
    needs: Needs,
    local: IpAddr,
    handle: &mut client::Handle<H>,
) -> Result<Option<String>, DialError> {
    let login = permit.login().as_str();
    let target = permit.target();
    let (accepted, key_id) = match &target.auth {
        TargetAuth::Certificate => {
            let wanted = SessionCertificate {
                subject: permit.who().subject(),
                session,
                ticket: permit.why().ticket.as_ref(),
                login: permit.login(),
                source: sources(target, local),
                pty: needs.pty && permit.who().restrictions().pty,
                port_forwarding: needs.port_forwarding
                    && permit.who().restrictions().port_forwarding,
                agent_forwarding: needs.agent_forwarding
                    && permit.who().restrictions().agent_forwarding,
                now: dialler.clock.now(),
            };
            let (key, certificate) = ca::issue_session(&dialler.target_ca, wanted).await?;
            let key_id = certificate.key_id().to_owned();
            let accepted = handle
                .authenticate_openssh_cert(login, key, certificate)
                .await?;
            (accepted, Some(key_id))
        }
        TargetAuth::Key(file) => {
            let file = file.clone();
            let key = tokio::task::spawn_blocking(move || ca::load_private(&file))
                .await
                .map_err(|_| DialError::Gone)??;
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(HashAlg::Sha512));
            (handle.authenticate_publickey(login, key).await?, None)
        }
    };
    if !accepted.success() {
        return Err(DialError::Refused {
            login: login.to_owned(),
        });
    }
    Ok(key_id)
}

/// `source-address` of the session certificate: it is good from where it is used, and nowhere else.
pub(crate) fn sources(target: &Target, local: IpAddr) -> Vec<IpAddr> {
    match &target.source_address {
        SourceAddress::Auto => vec![local.to_canonical()],
        SourceAddress::List(list) => list.clone(),
        SourceAddress::Off => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_preferred() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"]);
        let turns = addresses(&["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]);
        assert_eq!(in_turns(found), turns);
        let only = addresses(&["1.0.0.1:1", "1.0.0.2:1"]);
        assert_eq!(in_turns(only.clone()), only);
        assert!(in_turns(Vec::new()).is_empty());
    }

    #[tokio::test]
    async fn one_good_address_among_bad_ones_is_enough() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = good.local_addr().map(|address| (good, address)).unwrap();
        let closed = addresses(&["127.0.0.1:1", "127.0.0.2:1"]);
        let mut all = closed.clone();
        all.push(good.1);
        assert_eq!(race(all).await.unwrap().peer_addr().unwrap(), good.1);
        assert!(matches!(race(closed).await, Err(DialError::Connect { .. })));
        assert!(matches!(race(Vec::new()).await, Err(DialError::Forbidden)));
    }

    #[tokio::test]
    async fn keystrokes_are_sent_at_once_and_a_dead_target_is_noticed() {
        use rustix::net::sockopt;
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(target.local_addr().unwrap());
        let stream = prepared(stream.await.unwrap()).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), TCP_KEEPALIVE);
        assert_eq!(
            sockopt::tcp_user_timeout(&stream).unwrap(),
            TCP_USER_TIMEOUT_MS
        );
    }
}
