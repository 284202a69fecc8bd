//! Differential: the same certificates shown to us and to a real sshd with the same CA. Verdicts
//! agree, or the difference is written down here, and then it is ours that is stricter.

use crate::keygen::{Shop, load, public, public_of, real_now, run, succeed, trust};
use portcullis::ca::{self, KeySource, SessionCertificate, Signer};
use portcullis::identity;
use russh::keys::ssh_key::LineEnding;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SSHD: &str = "/usr/sbin/sshd";

/// sshd on a free port of loopback, with a host certificate of ours; ends with the test.
struct Sshd {
    child: Child,
    port: u16,
    known_hosts: PathBuf,
    login: String,
}

impl Sshd {
    async fn start(shop: &Shop, user_ca: &Path) -> Self {
        let (host_ca, host) = (shop.ed25519("host_ca"), shop.ed25519("host"));
        let signer = Signer::open(&KeySource::File(host_ca.clone()))
            .await
            .unwrap();
        let certificate = ca::issue_host(&signer, &public(&host), "db1", real_now())
            .await
            .unwrap();
        let certificate_path = ca::certificate_path(&public_of(&host));
        ca::write_certificate(&certificate_path, &certificate).unwrap();
        let known_hosts = shop.path("known_hosts");
        let line = signer.public().to_openssh().unwrap();
        std::fs::write(&known_hosts, format!("@cert-authority db1 {line}\n")).unwrap();

        let login = succeed("id", &["-un"]).trim().to_owned();
        if login == "root" {
            // As the service does it; sshd drops its rights into this empty directory.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nHostCertificate {}\n\
             TrustedUserCAKeys {}\nAuthorizedKeysFile none\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\n\
             PermitRootLogin yes\nSetEnv HOME={}\n",
            host.display(),
            certificate_path.display(),
            public_of(user_ca).display(),
            shop.dir.path().display(),
        );
        let path = shop.path("sshd_config");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {SSHD} (package openssh-server): {e}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("listening"));
        assert!(listening.is_some(), "sshd does not listen");
        // Read on, or sshd stops when the pipe is full. Ends when sshd does.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            port,
            known_hosts,
            login,
        }
    }

    /// Whether `true` can be run there with this key and certificate.
    fn accepts(&self, key: &Path, certificate: &Path) -> bool {
        let known_hosts = format!("UserKnownHostsFile={}", self.known_hosts.display());
        let certificate = format!("CertificateFile={}", certificate.display());
        let port = self.port.to_string();
        let mut args = vec![
            "-F",
            "none",
            "-p",
            &port,
            "-i",
            key.to_str().unwrap(),
            "-l",
            &self.login,
        ];
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=none",
            "HostKeyAlias=db1",
            "ConnectTimeout=20",
            &known_hosts,
            &certificate,
        ] {
            args.extend(["-o", option]);
        }
        args.extend(["127.0.0.1", "true"]);
        let output = run("ssh", &args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => true,
            Some(255) if told.contains("Permission denied") => false,
            other => panic!("ssh ended with {other:?}: {told}"),
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn we_and_sshd_agree_or_we_are_stricter() {
    let shop = Shop::new();
    let (ca_key, rogue) = (shop.ed25519("ca"), shop.ed25519("rogue"));
    let user = shop.ed25519("user");
    let sshd = Sshd::start(&shop, &ca_key).await;
    let login = sshd.login.clone();
    let ours = |path: &Path| {
        let source = "127.0.0.1".parse().unwrap();
        let identity = identity::check(&load(path), &trust(&ca_key), source, real_now());
        identity.is_ok_and(|who| who.may_log_in_as(&login.parse().unwrap()))
    };
    let other_login = ["-n", "somebody-else"];
    // (arguments, we, sshd)
    let table: &[(&[&str], bool, bool)] = &[
        (&[], true, true),
        (&["-O", "source-address=127.0.0.0/8"], true, true),
        (&["-O", "force-command=true"], true, true),
        (&["-O", "extension:unknown@example.com=x"], true, true),
        (&["-O", "clear"], true, true),
        (&["-V", "-2h:-1h"], false, false),
        (&["-V", "+1h:+2h"], false, false),
        (&other_login, false, false),
        (&["-h"], false, false),
        (&["-O", "source-address=192.0.2.0/24"], false, false),
        (&["-O", "critical:source-address=nowhere"], false, false),
        (&["-O", "critical:no-such-option"], false, false),
        (&["-O", "critical:force-command"], false, false),
        // Stricter: sshd has no limit of its own on how long a certificate lives.
        (&["-V", "-5m:+30d"], false, true),
        // Stricter: sshd takes any text as key id; here it is the identity.
        (&["-I", "not an identity"], false, true),
        // Stricter: sshd cannot ask a plain key for a PIN either and lets it in.
        (&["-O", "verify-required"], false, true),
    ];
    for (args, we, they) in table {
        let mut all = vec!["-I", "ana", "-n", &login, "-V", "-5m:+1h"];
        all.extend(*args);
        let path = shop.certificate(&ca_key, &user, &all);
        assert_eq!(
            (ours(&path), sshd.accepts(&user, &path)),
            (*we, *they),
            "{args:?}"
        );
    }
    let usual = ["-I", "ana", "-n", &login, "-V", "-5m:+1h"];
    let foreign = shop.certificate(&rogue, &user, &usual);
    assert_eq!(
        (ours(&foreign), sshd.accepts(&user, &foreign)),
        (false, false)
    );
    let nobody = shop.certificate(&ca_key, &user, &["-I", "ana", "-V", "-5m:+1h"]);
    assert_eq!(
        (ours(&nobody), sshd.accepts(&user, &nobody)),
        (false, false)
    );
}

#[tokio::test]
async fn sshd_accepts_a_session_certificate_of_ours_and_only_from_where_it_says() {
    let shop = Shop::new();
    let ca_key = shop.ed25519("target_ca");
    let sshd = Sshd::start(&shop, &ca_key).await;
    let signer = Signer::open(&KeySource::File(ca_key)).await.unwrap();
    let (subject, ticket) = ("ana".parse().unwrap(), "INC-42".parse().unwrap());
    let login = sshd.login.parse().unwrap();
    for (name, source, expected) in [
        ("elsewhere", vec!["192.0.2.1".parse().unwrap()], false),
        ("here", vec!["127.0.0.1".parse().unwrap()], true),
        ("anywhere", Vec::new(), true),
    ] {
        let wanted = SessionCertificate {
            subject: &subject,
            session: "01935f3e-8a7b-7000-8000-000000000001".parse().unwrap(),
            ticket: Some(&ticket),
            login: &login,
            source,
            pty: true,
            port_forwarding: false,
            agent_forwarding: false,
            now: real_now(),
        };
        let (key, certificate) = ca::issue_session(&signer, wanted).await.unwrap();
        let (key_path, certificate_path) =
            (shop.path(name), shop.path(&format!("{name}-cert.pub")));
        let mut file = std::fs::OpenOptions::new();
        let mut file = file
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&key_path)
            .unwrap();
        let text = key.to_openssh(LineEnding::LF).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        ca::write_certificate(&certificate_path, &certificate).unwrap();
        assert_eq!(
            sshd.accepts(&key_path, &certificate_path),
            expected,
            "{name}"
        );
    }
}
