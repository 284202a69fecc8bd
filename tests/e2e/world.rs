//! A bastion, a real target and people, on loopback and in a directory of their own.
//!
//! ```text
//! World::new().user(User::named("ben").without_reason()).set("session.drain", "1s").start()
//! ```
//! Dropping it stops everything by process id, and fails if the bastion does not end in order.

use crate::terminal::Terminal;
use crate::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const REASON: &str = "disk full on db1";
pub(crate) const TICKET: &str = "INC-42";

/// How a person's certificate is made.
#[derive(Clone, Debug)]
pub(crate) struct User {
    name: String,
    reason: bool,
    groups: Vec<String>,
    /// `-s` of ssh-keygen: a CA other than ours, by file name in the world's directory.
    foreign_ca: bool,
    certificate: bool,
    principals: Option<String>,
    /// Validity as ssh-keygen's `-V` takes it, and further words for it.
    validity: String,
    words: Vec<String>,
}

impl User {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reason: true,
            groups: Vec::new(),
            foreign_ca: false,
            certificate: true,
            principals: None,
            validity: "-1m:+1h".to_owned(),
            words: Vec::new(),
        }
    }
    pub(crate) fn without_reason(mut self) -> Self {
        self.reason = false;
        self
    }
    pub(crate) fn without_certificate(mut self) -> Self {
        self.certificate = false;
        self
    }
    pub(crate) fn in_group(mut self, group: &str) -> Self {
        self.groups.push(group.to_owned());
        self
    }
    /// Signed by a CA that nobody named.
    pub(crate) fn of_foreign_ca(mut self) -> Self {
        self.foreign_ca = true;
        self
    }
    /// An empty text is a certificate without principals.
    pub(crate) fn with_principals(mut self, principals: &str) -> Self {
        self.principals = Some(principals.to_owned());
        self
    }
    pub(crate) fn valid(mut self, validity: &str) -> Self {
        self.validity = validity.to_owned();
        self
    }
    /// More words for `ssh-keygen -s`.
    pub(crate) fn words(mut self, words: &[&str]) -> Self {
        self.words
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }
}

pub(crate) struct Builder {
    users: Vec<User>,
    settings: Vec<(String, toml::Value)>,
    targets: Vec<toml::Table>,
    policies: Vec<String>,
    sshd: String,
}

impl Builder {
    /// Lines for the target's sshd_config, before the others: the first counts.
    pub(crate) fn sshd(mut self, lines: &str) -> Self {
        self.sshd.push_str(lines);
        self.sshd.push('\n');
        self
    }
    pub(crate) fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }
    /// A setting of `portcullis.toml`: `set("session.drain", "1s")`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<toml::Value>) -> Self {
        self.settings.push((path.to_owned(), value.into()));
        self
    }
    /// Another `[[target]]`, as TOML.
    pub(crate) fn target(mut self, text: &str) -> Self {
        self.targets.push(text.parse().unwrap());
        self
    }
    /// One more policy beside the shipped ones.
    pub(crate) fn policy(mut self, text: &str) -> Self {
        self.policies.push(text.to_owned());
        self
    }
    pub(crate) fn start(self) -> World {
        let mut world = self.build();
        world.start_bastion();
        world
    }

    /// Everything but the bastion, which does not run yet.
    pub(crate) fn build(self) -> World {
        let dir = tempfile::Builder::new()
            .prefix("portcullis-e2e-")
            .tempdir()
            .unwrap();
        let mut world = World {
            login: login_name(),
            port: free_port(),
            target_port: free_port(),
            dir,
            bastion: None,
            sshd: None,
            others: Vec::new(),
            agent: None,
        };
        world.init(&self);
        world.start_sshd(&self.sshd);
        for user in &self.users {
            world.add_user(user);
        }
        world
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    /// The account on the target: whoever runs the tests.
    pub(crate) login: String,
    pub(crate) port: u16,
    pub(crate) target_port: u16,
    pub(crate) bastion: Option<Child>,
    sshd: Option<Child>,
    /// Further targets, and whatever else ends with the world.
    others: Vec<Child>,
    /// Socket of the ssh-agent that holds the CAs' keys.
    agent: Option<PathBuf>,
}

impl World {
    /// A world with Ana, who has a reason and a ticket.
    #[expect(clippy::new_ret_no_self, reason = "a world is built step by step")]
    pub(crate) fn new() -> Builder {
        Builder {
            users: vec![User::named("ana")],
            settings: Vec::new(),
            targets: Vec::new(),
            policies: Vec::new(),
            sshd: String::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path("bastion/portcullis.toml")
    }

    fn init(&self, wanted: &Builder) {
        let made = portcullis(&["init", &self.text_path("bastion")])
            .output()
            .unwrap();
        assert!(made.status.success(), "init: {}", said(&made));
        self.keygen(&[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &self.text_path("hosts_ca"),
        ]);
        self.keygen(&[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &self.text_path("foreign_ca"),
        ]);
        let db1 = format!(
            "name = \"db1\"\naddress = \"127.0.0.1:{}\"\nlogins = [\"{}\"]\n\
             labels = {{ env = \"test\" }}\nhost = {{ ca = \"../hosts_ca.pub\" }}\n",
            self.target_port, self.login
        );
        let mut targets = vec![db1.parse().unwrap()];
        targets.extend(wanted.targets.clone());
        let targets: Vec<toml::Value> = targets.into_iter().map(toml::Value::Table).collect();
        let address = format!("127.0.0.1:{}", self.port);
        let path = self.config_file();
        let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        set(&mut config, "listen.ssh", address.into());
        set(&mut config, "target", targets.into());
        for (number, text) in wanted.policies.iter().enumerate() {
            let file = self.path(&format!("bastion/policies/more{number}.cedar"));
            fs::write(file, text).unwrap();
        }
        // Many worlds on one disk: small segments.
        set(&mut config, "recording.segment_mib", 2.into());
        for (path, value) in &wanted.settings {
            set(&mut config, path, value.clone());
        }
        fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    }

    pub(crate) fn keygen(&self, words: &[&str]) {
        let made = Command::new("ssh-keygen").args(words).output();
        let made = made.expect("no ssh-keygen: apt-get install openssh-client");
        assert!(
            made.status.success(),
            "ssh-keygen {words:?}: {}",
            said(&made)
        );
    }

    fn start_sshd(&mut self, first: &str) {
        fs::create_dir_all(self.path("home")).unwrap();
        let child = self.spawn_sshd("target", self.target_port, &["-n", "db1,127.0.0.1"], first);
        self.sshd = Some(child);
        self.wait_for_sshd(self.target_port, "target.log");
    }

    /// Another target: `host` are words of `ssh-keygen` for its host certificate, `lines` come before
    /// the other lines of its sshd_config. Its log is `NAME.log`.
    pub(crate) fn another_sshd(&mut self, name: &str, port: u16, host: &[&str], lines: &str) {
        let child = self.spawn_sshd(name, port, host, lines);
        self.others.push(child);
        self.wait_for_sshd(port, &format!("{name}.log"));
    }

    fn spawn_sshd(&self, name: &str, port: u16, host: &[&str], lines: &str) -> Child {
        let key = self.text_path(&format!("{name}_host"));
        self.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
        let (public, ca) = (format!("{key}.pub"), self.text_path("hosts_ca"));
        let mut words = vec!["-q", "-s", &ca, "-I", name, "-h", "-V", "-1h:+1d"];
        words.extend(host);
        words.push(&public);
        self.keygen(&words);
        // sshd without PAM refuses a locked account and nothing else; a login shell that reads
        // somebody's profile can take a minute, so its HOME is empty.
        let text = format!(
            "{lines}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\n\
             HostCertificate {key}-cert.pub\n\
             TrustedUserCAKeys {}\nAuthorizedKeysFile none\nPasswordAuthentication no\nUsePAM no\n\
             KbdInteractiveAuthentication no\nStrictModes no\nPidFile none\nPermitRootLogin yes\n\
             SetEnv HOME={}\nAcceptEnv LANG LC_*\nMaxStartups 200\nMaxSessions 200\n\
             ExposeAuthInfo yes\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\n",
            self.text_path("bastion/keys/target_ca.pub"),
            self.text_path("home"),
        );
        let config = self.path(&format!("{name}_sshd_config"));
        fs::write(&config, text).unwrap();
        // Where packages put it: it must be called by its full path.
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
        let program = program.into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("no sshd: apt-get install openssh-server");
        if login_name() == "root" {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut sshd = Command::new(program);
        sshd.args(["-D", "-e", "-f"]).arg(&config);
        sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        sshd.spawn().unwrap()
    }

    /// More `[[target]]`s in the running bastion.
    pub(crate) fn add_targets(&self, text: &str) {
        let path = self.config_file();
        let before = self.log().matches("configuration in force").count();
        let config = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{config}\n{text}")).unwrap();
        wait::until("the new targets", || {
            let now = self.log().matches("configuration in force").count();
            (now > before).then_some(())
        });
    }

    /// The CAs' private halves leave the disk for a real ssh-agent, and the bastion starts anew.
    pub(crate) fn move_keys_to_agent(&mut self) {
        self.stop_bastion();
        let socket = self.path("agent.sock");
        let mut agent = Command::new("ssh-agent");
        agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let agent = agent.spawn();
        self.others
            .push(agent.expect("no ssh-agent: apt-get install openssh-client"));
        wait::until("the agent", || socket.exists().then_some(()));
        let path = self.config_file();
        let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for ca in ["user", "host", "target"] {
            let key = self.text_path(&format!("bastion/keys/{ca}_ca"));
            let mut add = Command::new("ssh-add");
            add.args(["-q", &key]).env("SSH_AUTH_SOCK", &socket);
            assert!(add.status().unwrap().success());
            fs::remove_file(&key).unwrap();
            let fingerprint = fingerprint(&format!("{key}.pub"));
            let value = format!("agent:{fingerprint}");
            set(&mut config, &format!("ca.{ca}"), value.into());
        }
        fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
        self.agent = Some(socket);
        self.start_bastion();
    }

    fn portcullis(&self, words: &[&str]) -> Command {
        let mut command = portcullis(words);
        command.env_remove("SSH_AUTH_SOCK");
        if let Some(socket) = &self.agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        command
    }

    /// A key, a certificate as asked for, and an `ssh_config` with nothing of the tester's own.
    pub(crate) fn add_user(&self, user: &User) {
        let home = self.path(&user.name);
        fs::create_dir_all(&home).unwrap();
        let key = self.text_path(&format!("{}/id", user.name));
        self.keygen(&[
            "-q", "-t", "ed25519", "-N", "", "-C", &user.name, "-f", &key,
        ]);
        if user.certificate {
            self.certify(user);
        }
        let port = self.port;
        let host_key = self.bastion_key("host_ed25519.pub");
        let host_ca = self.bastion_key("host_ca.pub");
        let known =
            format!("[127.0.0.1]:{port} {host_key}\n@cert-authority db1,db2,*.test {host_ca}\n");
        fs::write(home.join("known_hosts"), known).unwrap();
        let config = format!(
            "Host bastion\n  HostName 127.0.0.1\n  Port {port}\n\nHost db1\n  ProxyJump bastion\n\n\
             Host *\n  User {}\n  IdentityFile {key}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
             BatchMode yes\n",
            self.login,
            home.join("known_hosts").display(),
        );
        fs::write(home.join("config"), config).unwrap();
    }

    /// As `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self, user: &str) -> String {
        fingerprint(&self.text_path(&format!("{user}/id.pub")))
    }

    /// Signs (again) by the real ssh-keygen, with our CA's key or a foreign one.
    pub(crate) fn certify(&self, user: &User) {
        let ca = match user.foreign_ca {
            true => self.text_path("foreign_ca"),
            false => self.text_path("bastion/keys/user_ca"),
        };
        let key = self.text_path(&format!("{}/id.pub", user.name));
        let principals = user
            .principals
            .clone()
            .unwrap_or_else(|| self.login.clone());
        let reason = format!("extension:reason@portcullis={REASON}");
        let ticket = format!("extension:ticket@portcullis={TICKET}");
        let groups = format!("extension:groups@portcullis={}", user.groups.join(","));
        let mut words = vec![
            "-q",
            "-s",
            &ca,
            "-I",
            &user.name,
            "-z",
            "7",
            "-V",
            &user.validity,
        ];
        if !principals.is_empty() {
            words.extend(["-n", &principals]);
        }
        if user.reason {
            words.extend(["-O", &reason, "-O", &ticket]);
        }
        if !user.groups.is_empty() {
            words.extend(["-O", &groups]);
        }
        words.extend(user.words.iter().map(String::as_str));
        words.push(&key);
        self.keygen(&words);
    }

    fn bastion_key(&self, name: &str) -> String {
        let path = self.path("bastion/keys").join(name);
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    pub(crate) fn start_bastion(&mut self) {
        self.start_bastion_under(&[]);
    }

    /// With these words before the program's own: a tracer that breaks the disk.
    pub(crate) fn start_bastion_under(&mut self, before: &[&str]) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("serve.log"));
        let before_it = self.log().len();
        let config = self.config_file();
        let mut serve = match before {
            [] => self.portcullis(&[]),
            [tracer, words @ ..] => {
                let mut command = Command::new(tracer);
                command.args(words).arg(env!("CARGO_BIN_EXE_portcullis"));
                command.env_remove("PORTCULLIS_CONFIG");
                command
            }
        };
        serve.args(["--config", config.to_str().unwrap(), "serve"]);
        serve
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        self.bastion = Some(serve.spawn().unwrap());
        // No connection asks whether it is there: it would take one of the places that tests count.
        let log = self.path("serve.log");
        self.wait_for_child(&log, || {
            let text = fs::read_to_string(&log).unwrap();
            text[before_it..].contains("listening address=")
        });
    }

    fn wait_for_sshd(&mut self, port: u16, log: &str) {
        let log = self.path(log);
        self.wait_for_child(&log, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    fn wait_for_child(&mut self, log: &Path, there: impl Fn() -> bool) {
        let children = [self.bastion.as_mut(), self.sshd.as_mut()];
        let mut children: Vec<&mut Child> = children.into_iter().flatten().collect();
        wait::until(&format!("who writes {}", log.display()), || {
            for child in &mut children {
                let ended = child.try_wait().unwrap();
                let text = || fs::read_to_string(log).unwrap();
                assert!(ended.is_none(), "it ended at once ({ended:?}):\n{}", text());
            }
            there().then_some(())
        });
    }

    pub(crate) fn bastion_pid(&self) -> u32 {
        self.bastion.as_ref().unwrap().id()
    }

    /// SIGTERM, and an end in order.
    pub(crate) fn stop_bastion(&mut self) {
        let Some(mut child) = self.bastion.take() else {
            return;
        };
        signal(&child, Signal::TERM);
        let status = wait::until("the end of the bastion", || child.try_wait().unwrap());
        assert!(
            status.success(),
            "the bastion ended with {status}:\n{}",
            self.log()
        );
    }

    /// As a power cut does, but for the disk.
    pub(crate) fn kill_bastion(&mut self) {
        let mut child = self.bastion.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    pub(crate) fn target_log(&self) -> String {
        fs::read_to_string(self.path("target.log")).unwrap_or_default()
    }

    // ---- people ----------------------------------------------------------------------------------

    /// `ssh`'s words for this user: the configuration, then the given ones.
    pub(crate) fn words(&self, user: &str, words: &[&str]) -> Vec<String> {
        let config = self.text_path(&format!("{user}/config"));
        let mut all = vec!["-F".to_owned(), config];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all
    }

    /// A client program that takes `-F`, to its end, at most a minute.
    pub(crate) fn client(&self, program: &str, user: &str, words: &[&str], input: &[u8]) -> Run {
        let mut client = Command::new("timeout");
        client.args(["--foreground", "-k", "5", "60", program]);
        client.args(self.words(user, words)).stdin(Stdio::piped());
        let mut child = client
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A command may close its input early: that is its own affair.
        let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run::of(output)
    }

    /// `ssh` with its streams in the hands of the test; killed when dropped.
    pub(crate) fn open(&self, user: &str, words: &[&str]) -> Client {
        let mut ssh = Command::new("ssh");
        ssh.args(self.words(user, words)).stdin(Stdio::piped());
        let child = ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Client(child.unwrap())
    }

    /// A program that runs `ssh` itself: rsync, git.
    pub(crate) fn run_over_ssh(&self, program: &str, user: &str, words: &[&str]) -> Run {
        let ssh = format!("ssh -F {}", self.text_path(&format!("{user}/config")));
        let mut client = Command::new("timeout");
        client
            .args(["--foreground", "-k", "5", "60", program])
            .args(words);
        client.env("RSYNC_RSH", &ssh).env("GIT_SSH_COMMAND", &ssh);
        let output = client.stdin(Stdio::null()).output().unwrap();
        assert_ne!(
            output.status.code(),
            Some(127),
            "no {program}: apt-get install {program}"
        );
        Run::of(output)
    }

    /// The same with variables of the person's own.
    pub(crate) fn client_with(
        &self,
        program: &str,
        user: &str,
        words: &[&str],
        env: &[(&str, &str)],
    ) -> Run {
        let mut client = Command::new("timeout");
        client.args(["--foreground", "-k", "5", "60", program]);
        client
            .args(self.words(user, words))
            .envs(env.iter().copied());
        let output = client.stdin(Stdio::null()).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout: output.stdout,
        }
    }

    pub(crate) fn ssh(&self, user: &str, words: &[&str]) -> Run {
        self.client("ssh", user, words, b"")
    }

    pub(crate) fn ssh_with(&self, user: &str, words: &[&str], input: &[u8]) -> Run {
        self.client("ssh", user, words, input)
    }

    /// `ssh` on a terminal. BatchMode would keep it from being asked.
    pub(crate) fn terminal(&self, user: &str, words: &[&str]) -> Terminal {
        Terminal::new("ssh", &self.words(user, words))
    }

    // ---- the operator ----------------------------------------------------------------------------

    pub(crate) fn verb(&self, words: &[&str]) -> Run {
        let config = self.config_file();
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend(words);
        Run::of(self.portcullis(&all).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn sessions(&self) -> Vec<Value> {
        let run = self.verb(&["--json", "sessions"]);
        // 1 is the answer "nothing found".
        assert!([0, 1].contains(&run.code), "{run:?}");
        match run.stdout.is_empty() {
            true => Vec::new(),
            false => serde_json::from_slice(&run.stdout).unwrap(),
        }
    }

    /// Waits until `count` sessions have ended; the newest is the last.
    pub(crate) fn ended_sessions(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} ended sessions"), || {
            let mut ended = self.sessions();
            ended.retain(|session| session["active"] == false);
            ended.sort_by_key(|session| session["start"].to_string());
            (ended.len() >= count).then_some(ended)
        })
    }

    /// The one session of this world, ended.
    pub(crate) fn only_session(&self) -> Value {
        let mut ended = self.ended_sessions(1);
        assert_eq!(ended.len(), 1, "{ended:?}");
        ended.remove(0)
    }

    /// A stream as it lies on the disk, without asking the product.
    pub(crate) fn lines(&self, stream: &str) -> String {
        let streams = self.streams();
        streams
            .get(stream)
            .unwrap_or_else(|| panic!("no recording `{stream}`"))
            .clone()
    }

    pub(crate) fn events(&self, stream: &str) -> Vec<Value> {
        parse(&self.lines(stream))
    }

    /// What belongs to no session. Complete only after [`World::stop_bastion`].
    pub(crate) fn node_events(&self) -> Vec<Value> {
        let streams = self.streams();
        let nodes = streams
            .values()
            .filter(|text| text.contains("\"kind\":\"node.start\""));
        nodes.flat_map(|text| parse(text)).collect()
    }

    /// Stream id -> its JSON lines.
    pub(crate) fn streams(&self) -> BTreeMap<String, String> {
        let mut chunks = Vec::new();
        let mut waiting = vec![self.path("bastion/state/recordings")];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => waiting.push(path),
                    false => chunks.push(path),
                }
            }
        }
        chunks.sort();
        let mut streams = BTreeMap::new();
        for chunk in chunks {
            if !chunk.to_str().unwrap().ends_with(".jsonl.zst") {
                continue;
            }
            let bytes = zstd::decode_all(fs::File::open(&chunk).unwrap()).unwrap();
            let id = chunk
                .parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap();
            let text: &mut String = streams.entry(id.to_owned()).or_default();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        streams
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- serve.log\n{}", self.log());
            eprintln!("---- sshd.log\n{}", self.target_log());
            let main = [self.bastion.as_mut(), self.sshd.as_mut()];
            for child in main.into_iter().flatten().chain(&mut self.others) {
                child.kill().ok();
                child.wait().ok();
            }
            return;
        }
        self.stop_bastion();
        for mut child in self.sshd.take().into_iter().chain(self.others.drain(..)) {
            signal(&child, Signal::TERM);
            child.wait().unwrap();
        }
        let left = processes_in(self.dir.path());
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// A running `ssh`.
pub(crate) struct Client(pub(crate) Child);

impl Client {
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }
    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }
    pub(crate) fn signal(&self, wanted: Signal) {
        signal(&self.0, wanted);
    }
    /// Reads its standard error up to a line with `text`.
    pub(crate) fn says(&mut self, text: &str) {
        let (mut line, mut byte) = (String::new(), [0]);
        let stderr = self.0.stderr.as_mut().unwrap();
        // Byte by byte, so that what is beyond the line stays in the pipe.
        while stderr.read(&mut byte).unwrap() == 1 {
            match byte[0] {
                b'\n' if line.contains(text) => return,
                b'\n' => line.clear(),
                byte => line.push(char::from(byte)),
            }
        }
        panic!("it ended without saying `{text}`");
    }
    pub(crate) fn end(&mut self) -> Option<i32> {
        wait::until("the end of ssh", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How a client ended, and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout: output.stdout,
        }
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out(), self.stderr);
        self
    }

    /// Ended with this status, and says so to the person as the bastion does.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out(), self.stderr);
        assert!(self.stderr.contains("portcullis: "), "{}", self.stderr);
        assert!(
            self.stderr.contains(says),
            "no `{says}` in: {}",
            self.stderr
        );
        self
    }
}

pub(crate) fn portcullis(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(words).env_remove("PORTCULLIS_CONFIG");
    command
}

pub(crate) fn parse(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The first event of that kind.
#[track_caller]
pub(crate) fn event<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let found = events.iter().find(|event| event["kind"] == kind);
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    found.unwrap_or_else(|| panic!("no `{kind}` among {kinds:?}"))
}

/// Of configuration or policies, but not what was in force from the beginning.
pub(crate) fn changes<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.filter(|event| event["actor"] != "start").collect()
}

fn set(config: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => drop(config.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            let inner = config
                .entry(section)
                .or_insert_with(|| toml::Table::new().into());
            set(inner.as_table_mut().unwrap(), rest, value);
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .unwrap();
    kill_process(pid, signal).unwrap();
}

/// As `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(public: &str) -> String {
    let told = Command::new("ssh-keygen")
        .args(["-l", "-f", public])
        .output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    told.split(' ').nth(1).unwrap().to_owned()
}

pub(crate) fn login_name() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// Below the ports that the system gives to connections, and each only once in this process: a port
/// that is lent out is bound by somebody else a moment later.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Another test binary that runs at the same time begins elsewhere.
        let place = (std::process::id().wrapping_mul(97) + step) % 20_000;
        let port = u16::try_from(10_000 + place).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Our binary and sshd both carry the world's directory in their arguments.
pub(crate) fn processes_in(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(dir) {
            found.push(line);
        }
    }
    found
}
