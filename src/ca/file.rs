//! Key and certificate files in OpenSSH's formats.

use super::Error;
use super::draft::random;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{Certificate, LineEnding, PrivateKey, PublicKey};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A private RSA key of 16,384 bits is 13 KiB; a certificate at most 256 KiB (one SSH packet).
const FILE_BYTES_MAX: u64 = 512 * 1024;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// A private key from a file of mode 0600 (host keys, appliance keys), checked.
pub fn load_private(path: &Path) -> Result<PrivateKey, Error> {
    let refuse = |problem: String| Error::Read {
        path: path.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(|e| refuse(e.to_string()))?;
    // Of what was opened, not of the name: a name can be given to another file in between.
    let about = file.metadata().map_err(|e| refuse(e.to_string()))?;
    if !about.is_file() {
        return Err(refuse("it is not a file".to_owned()));
    }
    let mode = about.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(Error::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let text = Zeroizing::new(read_text(file).map_err(|e| refuse(e.to_string()))?);
    let key = PrivateKey::from_openssh(text.as_bytes()).map_err(|problem| {
        refuse(format!(
            "it is not an OpenSSH private key ({problem}); `ssh-keygen -p -f {}` writes one",
            path.display()
        ))
    })?;
    if key.is_encrypted() {
        return Err(Error::Encrypted {
            path: path.to_owned(),
        });
    }
    if matches!(key.key_data(), KeypairData::Rsa(_)) {
        return Err(Error::Rsa {
            path: path.to_owned(),
        });
    }
    if !matches!(
        key.key_data(),
        KeypairData::Ed25519(_) | KeypairData::Ecdsa(_)
    ) {
        return Err(refuse(format!(
            "keys of the type `{}` do not sign from a file; use Ed25519 or ECDSA, or an ssh-agent",
            key.algorithm().as_str()
        )));
    }
    Ok(key)
}

/// A public key from a `.pub` file.
pub fn load_public(path: &Path) -> Result<PublicKey, Error> {
    public(&load_text(path)?, path)
}

/// The same from text that came another way.
pub fn parse_public(text: &str) -> Result<PublicKey, Error> {
    public(text, Path::new("-"))
}

fn public(text: &str, path: &Path) -> Result<PublicKey, Error> {
    PublicKey::from_openssh(text.trim()).map_err(|problem| Error::Read {
        path: path.to_owned(),
        problem: format!("it is not an OpenSSH public key ({problem})"),
    })
}

/// A certificate from a `-cert.pub` file.
pub fn load_certificate(path: &Path) -> Result<Certificate, Error> {
    certificate(&load_text(path)?, path)
}

/// The same from text that came another way.
pub fn parse_certificate(text: &str) -> Result<Certificate, Error> {
    certificate(text, Path::new("-"))
}

fn certificate(text: &str, path: &Path) -> Result<Certificate, Error> {
    Certificate::from_openssh(text.trim()).map_err(|problem| Error::Read {
        path: path.to_owned(),
        problem: format!("it is not an OpenSSH certificate ({problem})"),
    })
}

/// `KEY.pub` -> `KEY-cert.pub`, where ssh looks for it.
pub fn certificate_path(public: &Path) -> PathBuf {
    let name = public
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.strip_suffix(".pub").unwrap_or(&name);
    public.with_file_name(format!("{stem}-cert.pub"))
}

/// Over an older one: a certificate is renewed in its place. Whole or not at all.
pub fn write_certificate(path: &Path, certificate: &Certificate) -> Result<(), Error> {
    let text = certificate.to_openssh().map_err(|problem| Error::Write {
        path: path.to_owned(),
        problem: problem.to_string(),
    })?;
    replace(path, format!("{text}\n").as_bytes(), 0o644)
}

/// A new Ed25519 key: `path` of mode 0600 and `path.pub` beside it. Overwrites nothing.
pub fn generate(path: &Path, comment: &str) -> Result<PublicKey, Error> {
    let key = new_key(comment)?;
    let public = public_path(path);
    if public.exists() {
        return Err(Error::Exists(public));
    }
    let text = key
        .to_openssh(LineEnding::LF)
        .map_err(|problem| Error::Sign(problem.to_string()))?;
    create(path, text.as_bytes(), 0o600)?;
    let line = key
        .public_key()
        .to_openssh()
        .map_err(|problem| Error::Sign(problem.to_string()))?;
    create(&public, format!("{line}\n").as_bytes(), 0o644)?;
    Ok(key.public_key().clone())
}

/// From the system's random source.
pub(super) fn new_key(comment: &str) -> Result<PrivateKey, Error> {
    let seed = Zeroizing::new(random()?);
    let pair = Ed25519Keypair::from_seed(&seed);
    PrivateKey::new(pair.into(), comment).map_err(|problem| Error::Sign(problem.to_string()))
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn load_text(path: &Path) -> Result<String, Error> {
    File::open(path)
        .and_then(read_text)
        .map_err(|e| Error::Read {
            path: path.to_owned(),
            problem: e.to_string(),
        })
}

fn read_text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= FILE_BYTES_MAX) {
        return Ok(text);
    }
    Err(io::Error::other("it is longer than 512 KiB"))
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| {
        if e.kind() == io::ErrorKind::AlreadyExists {
            return Error::Exists(path.to_owned());
        }
        cannot_write(path, &e)
    })
}

/// Written beside it, synced, renamed: a reader sees the old file or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(name);
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        sync_directory(path)
    };
    write().map_err(|e| {
        let problem = cannot_write(path, &e);
        // The rename may have happened; then there is nothing to remove, and that is all it says.
        drop(std::fs::remove_file(&beside));
        problem
    })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

pub(super) fn cannot_write(path: &Path, problem: &io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
