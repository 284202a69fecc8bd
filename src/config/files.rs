//! What settings name must be there, and keys must be their owner's alone. Contents are read later,
//! by the rooms that they belong to.

use super::page::Page;
use super::raw::Text;
use crate::ca::KeySource;
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Paths are relative to the directory of `portcullis.toml`, in included files as well: a target
/// means the same wherever it is written.
pub(super) struct Files {
    pub(super) dir: PathBuf,
}

impl Files {
    pub(super) fn file(&self, page: &mut Page, key: &str, given: &Text) -> PathBuf {
        let path = self.dir.join(given.get_ref());
        if let Some(about) = self.look(page, key, given, &path)
            && !about.is_file()
        {
            let message = format!("`{key}` must be a file, and {} is none", path.display());
            page.fault(given.span(), &message);
        }
        path
    }

    pub(super) fn directory(&self, page: &mut Page, key: &str, given: &Text) -> PathBuf {
        let path = self.dir.join(given.get_ref());
        if let Some(about) = self.look(page, key, given, &path)
            && !about.is_dir()
        {
            let message = format!(
                "`{key}` must be a directory, and {} is none",
                path.display()
            );
            page.fault(given.span(), &message);
        }
        path
    }

    pub(super) fn private_key(&self, page: &mut Page, key: &str, given: &Text) -> PathBuf {
        let path = self.file(page, key, given);
        let mode = fs::metadata(&path).map_or(0, |about| about.permissions().mode() & 0o7777);
        if mode & OTHERS != 0 {
            let file = path.display();
            let message = format!(
                "the key `{file}` can be read by others (mode {mode:04o}): run `chmod 600 {file}`"
            );
            page.fault(given.span(), &message);
        }
        path
    }

    /// A file, or `agent:SHA256:...`.
    pub(super) fn signer(&self, page: &mut Page, key: &str, given: &Text) -> Option<KeySource> {
        let Some(fingerprint) = given.get_ref().strip_prefix("agent:") else {
            return Some(KeySource::File(self.private_key(page, key, given)));
        };
        if !fingerprint.starts_with("SHA256:") {
            let message =
                format!("`{key}` is \"agent:SHA256:...\" with what `ssh-add -l` prints, or a file");
            page.fault(given.span(), &message);
            return None;
        }
        let Some(socket) = super::agent_socket() else {
            let message = format!("`{key}` is in an ssh-agent, but SSH_AUTH_SOCK is not set");
            page.fault(given.span(), &message);
            return None;
        };
        let fingerprint = fingerprint.to_owned();
        Some(KeySource::Agent {
            fingerprint,
            socket,
        })
    }

    fn look(&self, page: &mut Page, key: &str, given: &Text, path: &Path) -> Option<Metadata> {
        fs::metadata(path)
            .map_err(|error| {
                let message = format!(
                    "`{key}` names {}, which cannot be used: {error}; paths are relative to {}",
                    path.display(),
                    self.dir.display()
                );
                page.fault(given.span(), &message);
            })
            .ok()
    }
}
