use super::Error;
use super::file::{cannot_write, directory_of, replace};
use crate::identity::{KrlFile, Revocations, Revoke, krl_write};
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

/// Public, as sshd reads it too: it names keys and serials, no secret.
const KRL_MODE: u32 = 0o644;

/// What `identity` can read at all, and a byte.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024 + 1;

/// An empty KRL, number 1: the bytes.
pub fn new_krl(now: SystemTime) -> Result<Vec<u8>, Error> {
    krl_write(None, &[], now).map_err(|problem| Error::Krl {
        path: "-".into(),
        problem,
    })
}

/// Reads a KRL or list of keys. Its name is the path as given.
pub fn load_krl(path: &Path) -> Result<KrlFile, Error> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|e| Error::Read {
            path: path.to_owned(),
            problem: e.to_string(),
        })?;
    Revocations::load(&bytes, &path.to_string_lossy()).map_err(|problem| Error::Krl {
        path: path.to_owned(),
        problem,
    })
}

/// Adds to the KRL at `path` (made if there is none), whole or not at all. Two at the same time
/// wait for one another, so that none is lost.
pub fn revoke(path: &Path, add: &[Revoke], now: SystemTime) -> Result<KrlFile, Error> {
    let directory = File::open(directory_of(path)).map_err(|e| cannot_write(path, &e))?;
    rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| cannot_write(path, &e.into()))?;
    let existing = match path.try_exists() {
        Ok(true) => Some(load_krl(path)?),
        Ok(false) => None,
        Err(e) => return Err(cannot_write(path, &e)),
    };
    let bytes = krl_write(existing.as_ref(), add, now).map_err(|problem| Error::Krl {
        path: path.to_owned(),
        problem,
    })?;
    replace(path, &bytes, KRL_MODE)?;
    load_krl(path)
}
