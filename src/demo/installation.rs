//! The demo's installation: made and used by this program's own verbs, as a person would.

use super::keys;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Starting means reading keys and recovering an empty journal.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// Sessions of the tour are closed by then.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at something that has no signal of its own.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Where `init` lets the bastion listen.
const USUAL_ADDRESS: &str = "127.0.0.1:2222";
/// Identity of the certificate, and the account on the target.
pub(super) const IDENTITY: &str = "ana";
pub(super) const LOGIN: &str = "demo";

/// A directory that goes when this is dropped, unless the caller named it.
pub(super) struct Installation {
    pub(super) dir: PathBuf,
    pub(super) program: PathBuf,
    pub(super) address: SocketAddr,
    keep: bool,
}

impl Drop for Installation {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "the demo's directory stays");
        }
    }
}

impl Installation {
    /// An empty directory of mode 0700 and a free port; nothing in it yet.
    /// It is in a directory that somebody named, and stays.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    pub(super) fn new(dir: Option<PathBuf>) -> io::Result<Self> {
        let keep = dir.is_some();
        let dir = match dir {
            Some(dir) => std::path::absolute(dir)?,
            None => std::env::temp_dir().join(format!("portcullis-demo-{}", keys::fresh_name()?)),
        };
        if !(keep && is_empty(&dir)?) {
            DirBuilder::new().mode(0o700).create(&dir)?;
        }
        let made = Self {
            dir,
            program: std::env::current_exe()?,
            address: free_port()?,
            keep,
        };
        DirBuilder::new().mode(0o700).create(made.client())?;
        Ok(made)
    }

    /// What lies on the person's own machine: key, certificate, `ssh_config`, `known_hosts`.
    pub(super) fn client(&self) -> PathBuf {
        self.dir.join("client")
    }

    pub(super) fn ssh_config(&self) -> PathBuf {
        self.client().join("ssh_config")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("bastion/portcullis.toml")
    }

    pub(super) fn public_key(&self, name: &str) -> io::Result<String> {
        let text = fs::read_to_string(self.dir.join("bastion/keys").join(name))?;
        Ok(text.trim().to_owned())
    }

    /// The port of the demo instead of the usual one, and a target at the end.
    pub(super) fn write_target(&self, address: SocketAddr, fingerprint: &str) -> io::Result<()> {
        let path = self.config();
        let text = fs::read_to_string(&path)?;
        if !text.contains(USUAL_ADDRESS) {
            let message = format!("`{}` has no `{USUAL_ADDRESS}`", path.display());
            return Err(io::Error::other(message));
        }
        let text = text.replace(USUAL_ADDRESS, &self.address.to_string());
        let target = format!(
            "\n[[target]]\nname = \"db1\"\naddress = \"{address}\"\nlogins = [\"{LOGIN}\"]\n\
             labels = {{ env = \"demo\" }}\nhost = {{ keys = [\"{fingerprint}\"] }}\n"
        );
        fs::write(&path, text + &target)
    }

    /// A key pair as `ssh-keygen` makes it.
    pub(super) fn write_user_key(&self) -> io::Result<PathBuf> {
        let key = keys::fresh()?;
        let private = key.to_openssh(russh::keys::ssh_key::LineEnding::LF);
        let private = private.map_err(io::Error::other)?;
        let public = key.public_key().to_openssh().map_err(io::Error::other)?;
        let path = self.client().join("id_ed25519");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(private.as_bytes())?;
        fs::write(path.with_extension("pub"), format!("{public} {IDENTITY}\n"))?;
        Ok(path)
    }

    /// What `portcullis ssh-config` prints is for `~/.ssh`; this one stands alone, so that nothing of
    /// the caller's own settings, keys or agent takes part.
    pub(super) fn write_ssh_config(&self, key: &Path) -> io::Result<()> {
        let hosts = self.client().join("known_hosts");
        let (ip, port) = (self.address.ip(), self.address.port());
        let host_key = self.public_key("host_ed25519.pub")?;
        let host_ca = self.public_key("host_ca.pub")?;
        let known = format!("[{ip}]:{port} {host_key}\n@cert-authority db1 {host_ca}\n");
        fs::write(&hosts, known)?;
        let text = format!(
            "Host bastion\n  HostName {ip}\n  Port {port}\n\n\
             Host db1\n  ProxyJump bastion\n\n\
             Host *\n  User {LOGIN}\n  IdentityFile \"{key}\"\n  CertificateFile \"{key}-cert.pub\"\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile \"{hosts}\"\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n",
            key = key.display(),
            hosts = hosts.display(),
        );
        fs::write(self.ssh_config(), text)
    }

    /// Runs a verb to its end; its standard output, or what it complained about.
    pub(super) async fn verb(&self, words: &[&str]) -> Result<String, String> {
        let mut verb = Command::new(&self.program);
        // A group of its own: Ctrl-C is for the demo.
        verb.process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null());
        // `init` makes the configuration that the others read.
        if words.first() != Some(&"init") {
            verb.arg("--config").arg(self.config());
        }
        let output = verb.args(words).output().await;
        let output = output.map_err(|error| format!("cannot run portcullis itself: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "`portcullis {}` failed ({}):\n{}",
            words.join(" "),
            output.status,
            complaint.trim()
        ))
    }

    /// Starts `serve` and waits until it answers.
    pub(super) async fn serve(&self) -> Result<Bastion, String> {
        let log = self.dir.join("serve.log");
        let file = fs::File::create(&log).map_err(|error| error.to_string())?;
        let mut serve = Command::new(&self.program);
        serve.arg("--config").arg(self.config()).arg("serve");
        serve
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        // A group of its own: Ctrl-C is for the demo, which then ends the bastion in order.
        let child = serve.process_group(0).kill_on_drop(true).spawn();
        let child = child.map_err(|error| format!("cannot start `portcullis serve`: {error}"))?;
        let mut bastion = Bastion { child, log };
        let answers = tokio::time::timeout(START_PATIENCE, bastion.answers(self.address)).await;
        match answers {
            Ok(Ok(())) => Ok(bastion),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err(bastion.complaint("does not answer")),
        }
    }
}

/// The running `portcullis serve`. Dropping it kills it; [`Bastion::stop`] is the polite way.
pub(super) struct Bastion {
    child: Child,
    log: PathBuf,
}

impl Bastion {
    async fn answers(&mut self, address: SocketAddr) -> Result<(), String> {
        loop {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.complaint(&format!("ended at once ({status})")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Resolves when it ended by itself, which it should not.
    pub(super) async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.complaint(&format!("ended ({status})"))
    }

    pub(super) fn complaint(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        format!("`portcullis serve` {what}. It said:\n{}", log.trim())
    }

    /// SIGTERM, then patience, then an end without either.
    pub(super) async fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            sent.map_err(|error| format!("cannot end `portcullis serve`: {error}"))?;
        }
        match tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.complaint(&format!("ended badly ({status})"))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(self.complaint("does not end")),
        }
    }
}

/// True if it is there and empty, false if it is not there.
fn is_empty(dir: &Path) -> io::Result<bool> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if entries.next().is_none() {
        return Ok(true);
    }
    let dir = dir.display();
    let message = format!("`{dir}` is not empty; the demo wants a directory of its own");
    Err(io::Error::other(message))
}

/// A port that was free just now.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
