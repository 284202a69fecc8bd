//! What we sign, in the eyes of `ssh-keygen -L` and of ourselves; files and agents as signers.

use crate::keygen::{Shop, check, public, succeed, trust};
use portcullis::ca::{self, Error, KeySource, SessionCertificate, Signer, UserCertificate};
use portcullis::id::{SessionId, Subject, Ticket};
use portcullis::identity;
use russh::keys::ssh_key::{Certificate, HashAlg};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn file(path: &Path) -> KeySource {
    KeySource::File(path.to_owned())
}

async fn problem(source: &KeySource) -> Error {
    match Signer::open(source).await {
        Ok(_) => panic!("opened"),
        Err(problem) => problem,
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_or_that_is_no_key_is_refused() {
    let shop = Shop::new();
    let key = shop.ed25519("key");
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let told = problem(&file(&key)).await.to_string();
        assert!(
            told.contains(&format!("chmod 600 {}", key.display())),
            "{told}"
        );
    }
    let locked = shop.path("locked");
    let args = [
        "-q",
        "-t",
        "ed25519",
        "-N",
        "secret",
        "-f",
        locked.to_str().unwrap(),
    ];
    succeed("ssh-keygen", &args);
    assert!(matches!(
        problem(&file(&locked)).await,
        Error::Encrypted { .. }
    ));
    let rsa = shop.key("rsa", &["-t", "rsa", "-b", "2048"]);
    assert!(matches!(problem(&file(&rsa)).await, Error::Rsa { .. }));
    assert!(matches!(
        problem(&file(&shop.path("none"))).await,
        Error::Read { .. }
    ));
    assert!(matches!(
        problem(&file(shop.dir.path())).await,
        Error::Read { .. }
    ));
    std::fs::set_permissions(
        crate::keygen::public_of(&key),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    assert!(matches!(
        problem(&file(&crate::keygen::public_of(&key))).await,
        Error::Read { .. }
    ));

    for mode in [0o600, 0o400] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(
            Signer::open(&file(&key)).await.unwrap().public().key_data(),
            public(&key).key_data()
        );
    }
}

#[test]
fn a_new_key_overwrites_nothing() {
    let shop = Shop::new();
    let path = shop.path("user_ca");
    let made = ca::generate(&path, "user CA").unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let told = succeed("ssh-keygen", &["-l", "-f", path.to_str().unwrap()]);
    assert!(
        told.contains(&made.fingerprint(HashAlg::Sha256).to_string()),
        "{told}"
    );
    assert!(told.contains("user CA"), "{told}");

    let before = std::fs::read(&path).unwrap();
    assert!(matches!(ca::generate(&path, "x"), Err(Error::Exists(_))));
    std::fs::remove_file(crate::keygen::public_of(&path)).unwrap();
    assert!(matches!(ca::generate(&path, "x"), Err(Error::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

fn wanted<'a>(
    subject: &'a Subject,
    ticket: &'a Ticket,
    principals: &'a [String],
    groups: &'a [String],
) -> UserCertificate<'a> {
    UserCertificate {
        subject,
        principals,
        reason: Some("disk full"),
        ticket: Some(ticket),
        groups,
        lifetime: Duration::from_secs(3_600),
        serial: 42,
        now: crate::keygen::at(crate::keygen::NOW),
    }
}

#[tokio::test]
async fn what_we_issue_to_a_person_we_accept() {
    let shop = Shop::new();
    let (ca_key, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let signer = Signer::open(&file(&ca_key)).await.unwrap();
    let (subject, ticket) = ("ana".parse().unwrap(), "INC-42".parse().unwrap());
    let principals = ["root".to_owned()];
    let groups = ["dba".to_owned(), "ops".to_owned()];
    let good = wanted(&subject, &ticket, &principals, &groups);

    for bad in [
        UserCertificate {
            principals: &[],
            ..good.clone()
        },
        UserCertificate {
            principals: &["ro ot".to_owned()],
            ..good.clone()
        },
        UserCertificate {
            lifetime: Duration::ZERO,
            ..good.clone()
        },
        UserCertificate {
            lifetime: Duration::MAX,
            ..good.clone()
        },
        UserCertificate {
            groups: &["a,admins".to_owned()],
            ..good.clone()
        },
    ] {
        assert!(
            ca::issue_user(&signer, &public(&user), bad.clone())
                .await
                .is_err(),
            "{bad:?}"
        );
    }
    let weak = shop.key("weak", &["-t", "rsa", "-b", "1024"]);
    assert!(
        ca::issue_user(&signer, &public(&weak), good.clone())
            .await
            .is_err()
    );

    let certificate = ca::issue_user(&signer, &public(&user), good).await.unwrap();
    let mut trust = trust(&ca_key);
    trust.authorities[0].believe = vec!["groups".to_owned()];
    let identity = check(&certificate, &trust).unwrap();
    assert_eq!(identity.groups(), ["dba", "ops"]);
    assert_eq!(identity.why().justification.as_deref(), Some("disk full"));
    assert_eq!(identity.restrictions(), &identity::Restrictions::none());

    looks_right(&shop, &user, &certificate);
}

/// Written beside the key, shown by ssh-keygen and by us.
fn looks_right(shop: &Shop, user: &Path, certificate: &Certificate) {
    let path = ca::certificate_path(&crate::keygen::public_of(user));
    assert_eq!(path, shop.path("user-cert.pub"));
    ca::write_certificate(&path, certificate).unwrap();
    ca::write_certificate(&path, certificate).unwrap();
    let told = succeed("ssh-keygen", &["-L", "-f", path.to_str().unwrap()]);
    for part in [
        "Key ID: \"ana\"",
        "Serial: 42",
        "root",
        "reason@portcullis",
        "permit-pty",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let shown = ca::show(certificate).join("\n");
    for part in [
        "key id: ana",
        "serial: 42",
        "principals: root",
        "ticket@portcullis = INC-42",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test]
async fn session_and_host_certificates_say_no_more_than_needed() {
    let shop = Shop::new();
    let ca_key = shop.ed25519("target_ca");
    let signer = Signer::open(&file(&ca_key)).await.unwrap();
    let (subject, login) = ("ana".parse().unwrap(), "root".parse().unwrap());
    let (key, certificate) = ca::issue_session(
        &signer,
        SessionCertificate {
            subject: &subject,
            session: "01935f3e-8a7b-7000-8000-000000000001"
                .parse::<SessionId>()
                .unwrap(),
            ticket: None,
            login: &login,
            source: vec![
                "::ffff:192.0.2.1".parse().unwrap(),
                "2001:db8::1".parse().unwrap(),
            ],
            pty: false,
            port_forwarding: false,
            agent_forwarding: false,
            now: crate::keygen::at(crate::keygen::NOW),
        },
    )
    .await
    .unwrap();
    assert_eq!(certificate.public_key(), key.public_key().key_data());
    let path = shop.path("session-cert.pub");
    ca::write_certificate(&path, &certificate).unwrap();
    let told = succeed("ssh-keygen", &["-L", "-f", path.to_str().unwrap()]);
    for part in [
        "user certificate",
        "Key ID: \"portcullis:ana:01935f3e-8a7b-7000-8000-000000000001:\"",
        "Valid: from 2027-01-15T07:59:00 to 2027-01-15T08:02:00",
        "source-address 192.0.2.1,2001:db8::1",
        "Extensions: (none)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    let now = crate::keygen::at(crate::keygen::NOW);
    let host = public(&shop.ed25519("host"));
    for bad in [
        "",
        "*",
        "*.example.com",
        "a,b",
        "DB1",
        "db1.",
        "db?",
        "a b",
        "!db1",
    ] {
        assert!(
            ca::issue_host(&signer, &host, bad, now).await.is_err(),
            "{bad}"
        );
    }
    let certificate = ca::issue_host(&signer, &host, "db1.example.com", now)
        .await
        .unwrap();
    assert!(certificate.cert_type().is_host());
    assert_eq!(certificate.valid_principals(), ["db1.example.com"]);
    assert_eq!(
        certificate.valid_before() - certificate.valid_after(),
        24 * 3_600
    );
}

/// A real agent in the foreground; ends with the test.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(shop: &Shop) -> Self {
        let socket = shop.path("agent.sock");
        let mut child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run ssh-agent (package openssh-client): {e}"));
        // It speaks once it listens.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let mut command = Command::new("ssh-add");
        command
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket);
        assert!(command.status().unwrap().success());
    }

    fn key(&self, key: &Path) -> KeySource {
        KeySource::Agent {
            fingerprint: public(key).fingerprint(HashAlg::Sha256).to_string(),
            socket: self.socket.clone(),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn an_agent_signs_as_a_file_does() {
    let shop = Shop::new();
    let user = public(&shop.ed25519("user"));
    let (subject, ticket) = ("ana".parse().unwrap(), "INC-42".parse().unwrap());
    let principals = ["root".to_owned()];
    let agent = Agent::start(&shop);
    for (name, kind) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p256", &["-t", "ecdsa"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let key = shop.key(name, kind);
        assert!(matches!(
            problem(&agent.key(&key)).await,
            Error::NotInAgent { .. }
        ));
        agent.add(&key);
        let signer = Signer::open(&agent.key(&key)).await.unwrap();
        let good = wanted(&subject, &ticket, &principals, &[]);
        let certificate = ca::issue_user(&signer, &user, good.clone()).await.unwrap();
        check(&certificate, &trust(&key)).unwrap();

        // Taken out of the agent, it signs no more.
        let mut remove = Command::new("ssh-add");
        remove
            .args(["-q", "-d"])
            .arg(&key)
            .env("SSH_AUTH_SOCK", &agent.socket);
        assert!(remove.stderr(Stdio::null()).status().unwrap().success());
        assert!(ca::issue_user(&signer, &user, good).await.is_err());
    }
    let socket = agent.socket.clone();
    drop(agent);
    let gone = KeySource::Agent {
        fingerprint: "SHA256:x".to_owned(),
        socket,
    };
    assert!(matches!(problem(&gone).await, Error::Agent { .. }));
}
