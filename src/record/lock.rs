//! One recorder for a state directory, and only where it can write.

use super::Error;
use super::object::make_dir;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held for the life of the process.
pub(crate) fn take(state: &Path) -> Result<File, Error> {
    make_dir(state).map_err(|error| Error::io("make the state directory", state, &error))?;
    let path = state.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Error::io("open", &path, &error))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let read = file.read_to_string(&mut pid);
        tracing::debug!(?read, "the lock is taken");
        return Err(Error::Taken {
            path,
            pid: pid.trim().to_owned(),
        });
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| Error::io("write", &path, &error))?;
    Ok(file)
}
