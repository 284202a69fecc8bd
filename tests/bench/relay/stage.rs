//! What is measured: a target, an sshd in front of it in three ways, and a bastion; one ssh_config for
//! all of them.

use crate::delay;
use crate::door::Door;
use crate::report::Row;
use crate::setting;
use crate::wait;
use crate::world::{World, free_port};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// All ways have the same one.
const CIPHER: &str = "aes256-gcm@openssh.com";
/// The plain key is not offered first: an sshd lets everybody wait who fails.
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com";
const TLOG: &str = "/usr/bin/tlog-rec";

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) runtime: Runtime,
    _cas: tempfile::TempDir,
    near: PathBuf,
    far: PathBuf,
    pub(crate) doors: Vec<Door>,
    pub(crate) rounds: u64,
    pub(crate) mib: u64,
}

/// Where the hosts listen.
#[derive(Clone, Copy)]
struct Ports {
    target: u16,
    jump: u16,
    force: u16,
    tlog: u16,
    bastion: u16,
}

impl Stage {
    pub(crate) fn build() -> Self {
        let cas = tempfile::tempdir().unwrap();
        let trusted = cas.path().join("cas.pub");
        let trust = format!("TrustedUserCAKeys {}", trusted.display());
        // Small segments are for many worlds on one disk: this is about how one is installed.
        let mut world = World::new()
            .sshd(&trust)
            .set("recording.segment_mib", 64)
            .build();
        let keys = ["user_ca.pub", "target_ca.pub"]
            .map(|name| fs::read_to_string(world.path("bastion/keys").join(name)).unwrap());
        fs::write(&trusted, keys.concat()).unwrap();
        world.start_bastion();
        let mut ports = Ports {
            target: world.target_port,
            jump: free_port(),
            force: free_port(),
            tlog: free_port(),
            bastion: world.port,
        };
        world.another_sshd("hop", ports.jump, &["-n", "hop"], &trust);
        let near = config(&world, "near", ports);
        let mut doors = vec![Door::Direct, Door::ProxyJump, Door::ForceCommand];
        let script = script(&world, &near, "");
        let forced = format!("{trust}\nForceCommand {script}");
        world.another_sshd("force", ports.force, &["-n", "force"], &forced);
        if Path::new(TLOG).exists() {
            let log = world.text_path("tlog.json");
            let before = format!("{TLOG} --writer=file --file-path={log} ");
            let forced = format!(
                "{trust}\nForceCommand {}",
                self::script(&world, &near, &before)
            );
            world.another_sshd("tlog", ports.tlog, &["-n", "tlog"], &forced);
            doors.push(Door::Tlog);
        }
        doors.extend([Door::Name, Door::Jump]);
        let runtime = Runtime::new().unwrap();
        // The user is far away; what the bastion or the jump host dials is near it.
        let slow = |port| delay::start(&runtime, port);
        ports = Ports {
            target: slow(ports.target),
            jump: slow(ports.jump),
            force: slow(ports.force),
            tlog: slow(ports.tlog),
            bastion: slow(ports.bastion),
        };
        let far = config(&world, "far", ports);
        Self {
            world,
            runtime,
            _cas: cas,
            near,
            far,
            doors,
            rounds: setting("RELAY_ROUNDS", 3),
            mib: setting("RELAY_MIB", 256),
        }
    }

    pub(crate) fn end(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.world);
    }

    /// Each round goes through all `doors` once, beginning with another one each time.
    pub(crate) fn interleaved(&self, doors: &[Door], mut sample: impl FnMut(Door)) {
        for round in 0..self.rounds as usize {
            let start = round % doors.len();
            for place in 0..doors.len() {
                sample(doors[(start + place) % doors.len()]);
            }
        }
    }

    /// One figure that way.
    pub(crate) fn row(
        &self,
        name: &str,
        unit: &'static str,
        doors: &[Door],
        mut sample: impl FnMut(Door) -> f64,
    ) -> Row {
        let mut row = Row::new(name, unit, Some(doors[0]));
        self.interleaved(doors, |door| row.put(door, sample(door)));
        row.cells
            .sort_by_key(|cell| doors.iter().position(|door| *door == cell.door));
        row
    }

    /// `ssh` and its kind through a door of this configuration.
    fn command(&self, program: &str, config: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-F").arg(config).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub(crate) fn near(&self, program: &str, words: &[&str]) -> Command {
        self.command(program, &self.near, words)
    }

    pub(crate) fn far(&self, program: &str, words: &[&str]) -> Command {
        self.command(program, &self.far, words)
    }

    pub(crate) fn near_config(&self) -> &Path {
        &self.near
    }

    /// What the bastion says of itself.
    pub(crate) fn status(&self) -> serde_json::Value {
        let status = self.world.verb(&["--json", "status"]).ok().out();
        serde_json::from_str(&status).unwrap()
    }

    /// Until the bastion has recorded the end of everybody.
    pub(crate) fn all_left(&self) {
        wait::until("the end of all sessions", || {
            let status = self.status();
            let empty = ["connections", "sessions"]
                .iter()
                .all(|field| status[*field] == 0);
            empty.then_some(())
        });
    }

    /// Processor time of what stands between user and target, since it started: of the bastion its own,
    /// of an sshd that of the connections that are over (proc(5), stat).
    pub(crate) fn cpu(&self, door: Door) -> Option<f64> {
        match door {
            Door::Direct => None,
            Door::ProxyJump => Some(self.of_ended("hop")),
            Door::ForceCommand => Some(self.of_ended("force")),
            Door::Tlog => Some(self.of_ended("tlog")),
            Door::Name | Door::Jump => Some(ticks(self.world.bastion_pid(), 11)),
        }
    }

    fn of_ended(&self, name: &str) -> f64 {
        let pid = self.listener(name);
        let children = format!("/proc/{pid}/task/{pid}/children");
        wait::until("the end of all connections", || {
            let children = fs::read_to_string(&children).unwrap();
            children.trim().is_empty().then_some(())
        });
        ticks(pid, 13)
    }

    /// The sshd of that name which waits for connections.
    pub(crate) fn listener(&self, name: &str) -> u32 {
        let config = self.world.text_path(&format!("{name}_sshd_config"));
        let own = std::process::id().to_string();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split(' ')
                .nth(2);
            if String::from_utf8_lossy(&line).contains(&config) && parent == Some(&own) {
                return entry.file_name().to_str().unwrap().parse().unwrap();
            }
        }
        panic!("no sshd `{name}`");
    }
}

/// Two fields of /proc/PID/stat from `field` on (0 is the one after the name), in seconds.
fn ticks(pid: u32, field: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let two = fields.skip(field).take(2);
    two.map(|n| n.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn config(world: &World, name: &str, ports: Ports) -> PathBuf {
    let mut text = String::new();
    let mut host = |name: &str, port: u16, more: &str| {
        writeln!(
            text,
            "Host {name}\n  HostName 127.0.0.1\n  Port {port}{more}\n"
        )
        .unwrap();
    };
    host("direct", ports.target, "");
    host("hop-host", ports.jump, "");
    // Dialled from the jump host.
    host("hop", world.target_port, "\n  ProxyJump hop-host");
    host("force", ports.force, "");
    host("tlog", ports.tlog, "");
    host("bastion", ports.bastion, "");
    let user = format!("\n  User {}@db1", world.login);
    host("byname", ports.bastion, &user);
    write!(
        text,
        "Host byjump\n  HostName db1\n  ProxyJump bastion\n\nHost *\n  User {}\n  IdentityFile {}\n  \
         IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n  Ciphers {CIPHER}\n  PubkeyAcceptedAlgorithms {CERTIFICATE}\n  \
         StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n",
        world.login,
        world.text_path("ana/id"),
    )
    .unwrap();
    let path = world.path(&format!("{name}_config"));
    fs::write(&path, text).unwrap();
    path
}

/// What ForceCommand runs: the same thing on the target, on a terminal where there is one.
fn script(world: &World, config: &Path, before: &str) -> String {
    let ssh = format!("ssh -F {}", config.display());
    let text = format!(
        "#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in\n\
         internal-sftp) exec {before}{ssh} -s direct sftp;;\nesac\n\
         [ -t 0 ] && tty=-tt\nexec {before}{ssh} $tty direct \"$SSH_ORIGINAL_COMMAND\"\n"
    );
    let name = if before.is_empty() {
        "forced"
    } else {
        "forced-tlog"
    };
    let path = world.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs it to its good end; how long that took.
pub(crate) fn timed(command: &mut Command) -> f64 {
    let began = Instant::now();
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    began.elapsed().as_secs_f64()
}

/// The end of a client that has said all.
pub(crate) fn ended(mut child: Child) {
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}
