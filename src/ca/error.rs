use crate::identity::BadKrl;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the key `{path}`: {problem}")]
    Read { path: PathBuf, problem: String },
    /// Mode lets others read it. The message carries the chmod line.
    #[error("the key `{path}` can be read by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Mode { path: PathBuf, mode: u32 },
    #[error(
        "the key `{path}` is encrypted: remove its passphrase with `ssh-keygen -p -N '' -f {path}`, \
         or put it into an ssh-agent and name it `agent:SHA256:...`"
    )]
    Encrypted { path: PathBuf },
    /// RUSTSEC-2023-0071: the time an RSA signature takes tells of the key.
    #[error(
        "the key `{path}` is an RSA key, which is not used from a file: make another with \
         `ssh-keygen -t ed25519`, or put it into an ssh-agent"
    )]
    Rsa { path: PathBuf },
    #[error("cannot write `{path}`: {problem}")]
    Write { path: PathBuf, problem: String },
    #[error("the file `{0}` is there already and is left as it is")]
    Exists(PathBuf),
    #[error("cannot use the ssh-agent at `{socket}`: {problem}")]
    Agent { socket: PathBuf, problem: String },
    #[error("the ssh-agent at `{socket}` has no key {fingerprint}: add it with `ssh-add`")]
    NotInAgent {
        socket: PathBuf,
        fingerprint: String,
    },
    #[error("cannot sign: {0}")]
    Sign(String),
    #[error("cannot use the revocation list `{path}`: {problem}")]
    Krl { path: PathBuf, problem: BadKrl },
}
