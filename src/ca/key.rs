use super::draft::Draft;
use super::{Error, agent, file};
use russh::keys::ssh_key::{Certificate, PrivateKey, PublicKey};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a signing key is: a file, or `agent:SHA256:...` at `SSH_AUTH_SOCK`.
#[derive(Clone, Debug)]
pub enum KeySource {
    File(PathBuf),
    Agent {
        fingerprint: String,
        socket: PathBuf,
    },
}

/// A signing key. Cloning shares it.
#[derive(Clone)]
pub struct Signer {
    public: PublicKey,
    hand: Hand,
}

#[derive(Clone)]
enum Hand {
    /// Zeroized by the library when the last one goes.
    File(Arc<PrivateKey>),
    /// One connection a signature: an agent that is restarted is simply found again.
    Agent(Arc<PathBuf>),
}

impl Signer {
    pub async fn open(source: &KeySource) -> Result<Self, Error> {
        match source {
            KeySource::File(path) => {
                let private = load(path.clone()).await?;
                Ok(Self {
                    public: private.public_key().clone(),
                    hand: Hand::File(Arc::new(private)),
                })
            }
            KeySource::Agent {
                fingerprint,
                socket,
            } => Ok(Self {
                public: agent::find(socket, fingerprint).await?,
                hand: Hand::Agent(Arc::new(socket.clone())),
            }),
        }
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The certificate, its signature checked: an agent, or a token behind it, may answer anything.
    pub(super) async fn sign(&self, draft: &Draft) -> Result<Certificate, Error> {
        let certificate = match &self.hand {
            Hand::File(private) => draft.sign_with(private.as_ref())?,
            Hand::Agent(socket) => {
                let to_sign = draft.bytes_to_sign(&self.public)?;
                let signature = agent::sign(socket, &self.public, to_sign).await?;
                draft.with_signature(&self.public, signature)?
            }
        };
        draft.check_signed(certificate, &self.public)
    }
}

/// The public half alone: what is printed for others needs no private key.
pub async fn public_of(source: &KeySource) -> Result<PublicKey, Error> {
    match source {
        KeySource::File(path) => {
            // As ssh-keygen names it: appended, whatever the name is.
            let mut public = path.clone().into_os_string();
            public.push(".pub");
            file::load_public(&PathBuf::from(public))
        }
        KeySource::Agent {
            fingerprint,
            socket,
        } => agent::find(socket, fingerprint).await,
    }
}

/// On a thread of its own: a disk can hang.
async fn load(path: PathBuf) -> Result<PrivateKey, Error> {
    let read = tokio::task::spawn_blocking(move || file::load_private(&path)).await;
    read.unwrap_or_else(|problem| Err(Error::Sign(problem.to_string())))
}
