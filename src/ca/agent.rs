//! Keys in an ssh-agent (draft-miller-ssh-agent): tokens, TPMs and KMS stand behind one.

use super::Error;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::encoding::Decode;
use russh::keys::ssh_key::{HashAlg, PublicKey, Signature};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// Long enough for a token that wants to be touched; a session waits no longer for its certificate.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The key with that fingerprint (`SHA256:...`, as `ssh-add -l` prints it).
pub(super) async fn find(socket: &Path, fingerprint: &str) -> Result<PublicKey, Error> {
    let identities = within(socket, async {
        connect(socket)
            .await?
            .request_identities()
            .await
            .map_err(|e| e.to_string())
    })
    .await?;
    let found = identities.into_iter().find_map(|identity| match identity {
        AgentIdentity::PublicKey { key, .. } => {
            (key.fingerprint(HashAlg::Sha256).to_string() == fingerprint).then_some(key)
        }
        AgentIdentity::Certificate { .. } => None,
    });
    found.ok_or_else(|| Error::NotInAgent {
        socket: socket.to_owned(),
        fingerprint: fingerprint.to_owned(),
    })
}

pub(super) async fn sign(
    socket: &Path,
    key: &PublicKey,
    to_sign: Vec<u8>,
) -> Result<Signature, Error> {
    // RSA stays in the agent, where signing it is the agent's matter; with SHA-2, never SHA-1.
    let hash = key.key_data().is_rsa().then_some(HashAlg::Sha512);
    let signed_bytes = to_sign.len();
    let answer = within(socket, async {
        connect(socket)
            .await?
            .sign_request(&key.clone().into(), hash, to_sign)
            .await
            .map_err(|e| e.to_string())
    })
    .await?;
    // The client appends the signature, as a string, to what it was given.
    let read = |mut rest: &[u8]| -> Option<Signature> {
        let blob = Vec::<u8>::decode(&mut rest).ok()?;
        Signature::try_from(blob.as_slice()).ok()
    };
    answer
        .get(signed_bytes..)
        .and_then(read)
        .ok_or_else(|| Error::Agent {
            socket: socket.to_owned(),
            problem: "its signature cannot be read".to_owned(),
        })
}

async fn connect(socket: &Path) -> Result<AgentClient<UnixStream>, String> {
    AgentClient::connect_uds(socket)
        .await
        .map_err(|e| e.to_string())
}

/// Dropping it closes the connection; the agent then forgets the question.
async fn within<T>(
    socket: &Path,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, Error> {
    let answer = match tokio::time::timeout(ANSWER_WITHIN, work).await {
        Ok(answer) => answer,
        Err(_) => Err(format!(
            "no answer within {} seconds",
            ANSWER_WITHIN.as_secs()
        )),
    };
    answer.map_err(|problem| Error::Agent {
        socket: socket.to_owned(),
        problem,
    })
}
