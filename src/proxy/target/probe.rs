//! `doctor` asks a target: do you answer, are you who you must be, would you let us in? It opens no
//! channel, so nothing is done there and nothing is relayed.

use super::dial::{DialError, Dialler, connect, sources};
use super::hostkey::HostVerifier;
use crate::access::{Target, TargetAuth, Targets};
use crate::ca::{self, SessionCertificate};
use crate::event::HostKey;
use crate::id::{Login, SessionId, Subject};
use russh::Disconnect;
use russh::client::{self, Handler};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpStream, UdpSocket, lookup_host};

/// RFC 4253 §4.2: an identification line, and what may stand before it.
const GREETING_BYTES_MAX: u64 = 4096;
const GREETING_WITHIN: Duration = Duration::from_secs(10);
/// In the key id of the certificate that is shown; the target's log has it.
const SUBJECT: &str = "doctor";

/// How far it went.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    pub address: Option<SocketAddr>,
    /// Our address, as the target sees it unless something translates it.
    pub own_address: Option<IpAddr>,
    /// What the server says first: its version, or why it does not talk to us.
    pub greeting: Option<String>,
    pub host_key: Option<HostKey>,
    pub logged_in: bool,
    pub problem: Option<Problem>,
}

/// Why it went no further, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub says: String,
    pub hint: String,
}

/// Without a login it stops at the host key.
pub async fn probe(
    dialler: &Dialler,
    targets: &Targets,
    target: &Arc<Target>,
    login: Option<&Login>,
) -> Probed {
    let mut probed = Probed::default();
    let done = async {
        let permitted = |target: &Target, ip| targets.permits(target, ip);
        let stream = connect(target, dialler.timeout / 2, permitted).await?;
        probed.address = stream.peer_addr().ok();
        probed.own_address = stream.local_addr().ok().map(|own| own.ip().to_canonical());
        probed.greeting = greeting(stream).await;
        let stream = connect(target, dialler.timeout / 2, permitted).await?;
        log_in(dialler, target, login, stream, &mut probed).await
    };
    let done = tokio::time::timeout(dialler.timeout + GREETING_WITHIN, done).await;
    let done = done.unwrap_or(Err(DialError::Timeout(dialler.timeout)));
    if let Err(error) = done {
        probed.problem = Some(Problem {
            code: error.code(),
            says: error.to_string(),
            hint: error.hint(),
        });
    }
    probed
}

/// The address that a connection to this target would have here. Nothing is sent.
pub async fn own_address(target: &Target) -> Option<IpAddr> {
    let found = lookup_host((target.host.as_str(), target.port)).await;
    let address = found.ok()?.next()?;
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(address).await.ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

/// The first line, whatever it is.
async fn greeting(stream: TcpStream) -> Option<String> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream).take(GREETING_BYTES_MAX);
    let read = async {
        while let Ok(byte) = reader.read_u8().await {
            if byte == b'\n' {
                break;
            }
            line.push(byte);
        }
    };
    // What has come until then is what it said.
    drop(tokio::time::timeout(GREETING_WITHIN, read).await);
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    (!line.is_empty()).then_some(line)
}

async fn log_in(
    dialler: &Dialler,
    target: &Arc<Target>,
    login: Option<&Login>,
    stream: TcpStream,
    probed: &mut Probed,
) -> Result<(), DialError> {
    let local = stream.local_addr().map_err(|_| DialError::Gone)?.ip();
    let (now, checked) = (dialler.clock.now(), Arc::clone(target));
    let verifier = tokio::task::spawn_blocking(move || HostVerifier::load(&checked, now))
        .await
        .map_err(|_| DialError::Gone)??;
    let side = Side(Arc::clone(&verifier));
    let connected = client::connect_stream(Arc::clone(&dialler.config), stream, side).await;
    match verifier.verdict() {
        Some(Ok(host_key)) => probed.host_key = Some(host_key),
        Some(Err(refused)) => return Err(refused.into()),
        None => return Err(connected.err().map_or(DialError::Gone, DialError::Ssh)),
    }
    let mut handle = connected?;
    let Some(login) = login else { return Ok(()) };
    let accepted = match &target.auth {
        TargetAuth::Certificate => {
            let subject: Subject = SUBJECT.parse().map_err(|_| DialError::Gone)?;
            let wanted = SessionCertificate {
                subject: &subject,
                session: SessionId::at(dialler.clock.now()),
                ticket: None,
                login,
                source: sources(target, local),
                pty: false,
                port_forwarding: false,
                agent_forwarding: false,
                now: dialler.clock.now(),
            };
            let (key, certificate) = ca::issue_session(&dialler.target_ca, wanted).await?;
            handle
                .authenticate_openssh_cert(login.as_str(), key, certificate)
                .await?
        }
        TargetAuth::Key(file) => {
            let file = file.clone();
            let key = tokio::task::spawn_blocking(move || ca::load_private(&file))
                .await
                .map_err(|_| DialError::Gone)??;
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(HashAlg::Sha512));
            handle.authenticate_publickey(login.as_str(), key).await?
        }
    };
    probed.logged_in = accepted.success();
    let closed = handle
        .disconnect(Disconnect::ByApplication, "doctor was here", "")
        .await;
    tracing::debug!(?closed, "looked at a target");
    match probed.logged_in {
        true => Ok(()),
        false => Err(DialError::Refused {
            login: login.to_string(),
        }),
    }
}

/// Nobody is behind it: the connection is closed as soon as the answer is known.
struct Side(Arc<HostVerifier>);

impl Handler for Side {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(self.0.verify(presented))
    }
}
