//! The embedded target against the real `ssh`, without a bastion between them.

use super::keys;
use super::ssh::{self, Mirror, Step};
use super::target::{Target, target};
use crate::clock::Clock;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::{LineEnding, PrivateKey};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Scene {
    dir: tempfile::TempDir,
    target: Target,
}

impl Scene {
    async fn new(principal: &str) -> Self {
        let ca = keys::fresh().unwrap();
        let target = target(ca.public_key(), "demo", Clock::system())
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let scene = Self { dir, target };
        scene.write_key(&ca, principal);
        scene.write_config();
        scene
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_key(&self, ca: &PrivateKey, principal: &str) {
        let key = keys::fresh().unwrap();
        let path = self.file("id");
        fs::write(&path, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let now = Clock::system()
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let public = key.public_key().key_data().clone();
        let mut wanted = Builder::new([1; 16], public, now - 60, now + 120).unwrap();
        wanted.cert_type(CertType::User).unwrap();
        wanted.valid_principal(principal).unwrap();
        wanted.extension("permit-pty", "").unwrap();
        wanted
            .critical_option("source-address", "127.0.0.1")
            .unwrap();
        let certificate = wanted.sign(ca).unwrap();
        fs::write(self.file("id-cert.pub"), certificate.to_openssh().unwrap()).unwrap();
    }

    fn write_config(&self) {
        let text = format!(
            "Host t\n  HostName 127.0.0.1\n  Port {}\n  User demo\n  IdentityFile {}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {}\n  \
             StrictHostKeyChecking no\n  LogLevel ERROR\n  BatchMode yes\n",
            self.target.address.port(),
            self.file("id").display(),
            self.file("known_hosts").display(),
        );
        fs::write(self.file("config"), text).unwrap();
    }

    async fn ssh(&self, words: &[&str], input: Vec<u8>) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.file("config")).args(words);
        ssh.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = ssh
            .kill_on_drop(true)
            .spawn()
            .expect("apt-get install openssh-client");
        let mut stdin = child.stdin.take().unwrap();
        let writing = async move {
            // A command that does not read its input closes it: that is no failure of the test.
            stdin.write_all(&input).await.ok();
        };
        let both = async { tokio::join!(writing, child.wait_with_output()).1.unwrap() };
        tokio::time::timeout(Duration::from_secs(60), both)
            .await
            .expect("ssh hangs")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_has_its_streams_and_its_status() {
    let scene = Scene::new("demo").await;
    let output = scene
        .ssh(&["t", "cat; echo oops >&2; exit 3"], b"in".to_vec())
        .await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"in");
    assert_eq!(output.stderr, b"oops\n");

    let output = scene.ssh(&["t", "true"], vec![0; 1 << 20]).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "unread input is no fault: {output:?}"
    );
    scene.target.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_goes_both_ways_at_once() {
    let scene = Scene::new("demo").await;
    let sent: Vec<u8> = (0..32_u32 << 20)
        .map(|n| n.to_le_bytes()[(n % 3) as usize])
        .collect();
    let output = scene.ssh(&["t", "cat"], sent.clone()).await;
    assert!(output.status.success());
    assert!(
        output.stdout == sent,
        "{} of {} bytes",
        output.stdout.len(),
        sent.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_login_is_refused() {
    let scene = Scene::new("root").await;
    let output = scene.ssh(&["t", "true"], Vec::new()).await;
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_has_a_terminal_of_the_right_size() {
    let scene = Scene::new("demo").await;
    let steps = [
        Step {
            shown: "shell of your own.",
            typed: "stty size; echo \"so: $((6 * 7))\"\r",
        },
        Step {
            shown: "so: 42",
            typed: "exit 5\r",
        },
    ];
    let config = scene.file("config").display().to_string();
    let words = ["-F", config.as_str(), "t"];
    let sitting = ssh::sit(Path::new("ssh"), &words, &steps, Mirror::No).await;
    let sitting = sitting.unwrap();
    assert_eq!(sitting.status.code(), Some(5), "{}", sitting.screen);
    assert!(sitting.screen.contains("24 80"), "{}", sitting.screen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_target_does_not_have_is_refused() {
    let scene = Scene::new("demo").await;
    let output = scene.ssh(&["-s", "t", "sftp"], Vec::new()).await;
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let output = scene.ssh(&["-W", "127.0.0.1:1", "t"], Vec::new()).await;
    assert_eq!(output.status.code(), Some(255), "{output:?}");
}
