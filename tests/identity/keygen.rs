//! A directory with keys, and the programs that make and judge them.

use portcullis::clock::Clock;
use portcullis::identity::{self, Authority, Identity, PrincipalsMode, Refusal, Trust};
use russh::keys::ssh_key::{Certificate, PublicKey};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// 2027-01-15T08:00:00Z: where the tests' clock stands.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HERE: &str = "192.0.2.7";

pub(crate) fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

pub(crate) fn real_now() -> SystemTime {
    Clock::system().now()
}

pub(crate) struct Shop {
    pub(crate) dir: TempDir,
    made: AtomicU64,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::with_prefix("portcullis-identity-").unwrap(),
            made: AtomicU64::new(0),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A key without passphrase; the path of its private half.
    pub(crate) fn key(&self, name: &str, kind: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut args: Vec<&OsStr> = kind.iter().map(OsStr::new).collect();
        args.extend(["-q", "-N", "", "-C", name, "-f"].map(OsStr::new));
        args.push(path.as_os_str());
        succeed("ssh-keygen", &args);
        path
    }

    pub(crate) fn ed25519(&self, name: &str) -> PathBuf {
        self.key(name, &["-t", "ed25519"])
    }

    /// What `ssh-keygen -s` makes; the path of the certificate.
    pub(crate) fn certificate<A: AsRef<OsStr>>(
        &self,
        ca: &Path,
        key: &Path,
        args: &[A],
    ) -> PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let public = self.path(&format!("made-{number}.pub"));
        std::fs::copy(public_of(key), &public).unwrap();
        let mut all: Vec<&OsStr> = vec![OsStr::new("-q"), OsStr::new("-s"), ca.as_os_str()];
        all.extend(args.iter().map(AsRef::as_ref));
        all.push(public.as_os_str());
        succeed("ssh-keygen", &all);
        self.path(&format!("made-{number}-cert.pub"))
    }

    /// For `ana`, login `root`, from an hour before `NOW` to an hour after; `args` come last, so
    /// they win.
    pub(crate) fn usual(&self, ca: &Path, key: &Path, args: &[&str]) -> Certificate {
        let span = span(NOW - 3_600, NOW + 3_600);
        let mut all = vec!["-I", "ana", "-n", "root", "-z", "7", "-V", &span];
        all.extend(args);
        load(&self.certificate(ca, key, &all))
    }
}

pub(crate) fn span(from: u64, to: u64) -> String {
    format!("{from:#x}:{to:#x}")
}

pub(crate) fn public_of(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

pub(crate) fn public(key: &Path) -> PublicKey {
    portcullis::ca::load_public(&public_of(key)).unwrap()
}

pub(crate) fn load(path: &Path) -> Certificate {
    portcullis::ca::load_certificate(path).unwrap()
}

pub(crate) fn trust(ca: &Path) -> Trust {
    Trust {
        authorities: vec![Authority {
            key: public(ca),
            identities: vec!["*".to_owned()],
            principals: Vec::new(),
            believe: Vec::new(),
        }],
        max_lifetime: Duration::from_secs(8 * 3_600),
        principals: PrincipalsMode::Login,
        ..Trust::default()
    }
}

pub(crate) fn check(certificate: &Certificate, trust: &Trust) -> Result<Identity, Refusal> {
    identity::check(certificate, trust, HERE.parse().unwrap(), at(NOW))
}

#[track_caller]
pub(crate) fn refused(certificate: &Certificate, trust: &Trust) -> &'static str {
    match check(certificate, trust) {
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty() && !refusal.hint().is_empty());
            refusal.code()
        }
        Ok(identity) => panic!("accepted: {identity:?}"),
    }
}

/// Runs it with nothing of our environment that could change what it says.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, args: &[A]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C").env("TZ", "UTC");
    command
        .env_remove("SSH_AUTH_SOCK")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run {program} (package openssh-client): {e}"))
}

#[track_caller]
pub(crate) fn succeed<A: AsRef<OsStr> + std::fmt::Debug>(program: &str, args: &[A]) -> String {
    let output = run(program, args);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {args:?}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}
