//! A person with the generated configuration, the two doors, and programs that must be there.

use crate::world::{Run, World};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ana, with nothing in her `ssh` but what `ssh-config` printed.
pub(crate) const ME: &str = "tool";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Jump,
    Name,
}

pub(crate) const DOORS: [Door; 2] = [Door::Jump, Door::Name];

impl Door {
    /// What a tool calls this target. Many tools split at the first `@`: hence the `%`.
    pub(crate) fn to(self, world: &World, target: &str) -> String {
        match self {
            Self::Jump => target.to_owned(),
            Self::Name => format!("{}%{target}@bastion", world.login),
        }
    }

    pub(crate) fn db1(self, world: &World) -> String {
        self.to(world, "db1")
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Name => "name",
        }
    }
}

/// Both doors at once: they share nothing but the bastion.
pub(crate) fn through_both(world: &World, walk: impl Fn(Door, &str) + Sync) {
    std::thread::scope(|scope| {
        for door in DOORS {
            let walk = &walk;
            scope.spawn(move || walk(door, &door.db1(world)));
        }
    });
}

/// `lines` come first: in ssh_config the first word counts.
pub(crate) fn configure(world: &World, user: &str, lines: &str) {
    let home = world.path(user);
    fs::create_dir_all(&home).unwrap();
    let own = format!(
        "{lines}\nBatchMode yes\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\nIdentityAgent none\n\
         UserKnownHostsFile {}\nGlobalKnownHostsFile none\n",
        world.login,
        world.path("ana/id").display(),
        home.join("known_hosts").display(),
    );
    let generated = world.ssh("ana", &["bastion", "ssh-config"]).ok().out();
    fs::write(home.join("config"), own + &generated).unwrap();
}

pub(crate) fn start() -> World {
    let world = World::new().start();
    configure(&world, ME, "");
    world
}

/// A program of this Debian package, with an end after so many seconds.
pub(crate) fn tool(program: &str, package: &str, seconds: u32) -> Command {
    let mut which = Command::new("sh");
    which.args(["-c", &format!("command -v {program}")]);
    let found = which.stdout(Stdio::null()).status().unwrap().success();
    assert!(found, "no {program}: apt-get install {package}");
    let mut command = Command::new("timeout");
    command.args(["--foreground", "-k", "5", &seconds.to_string(), program]);
    command.stdin(Stdio::null());
    command
}

/// A tool of OpenSSH's that takes `-F`.
pub(crate) fn openssh(world: &World, program: &str, words: &[&str]) -> Command {
    let mut command = tool(program, "openssh-client", 300);
    command.args(world.words(ME, words));
    command
}

/// A program that calls `ssh` itself.
pub(crate) fn over_ssh(world: &World, program: &str, package: &str) -> Command {
    let ssh = format!("ssh -F {}", world.text_path(&format!("{ME}/config")));
    let mut command = tool(program, package, 300);
    command.env("RSYNC_RSH", &ssh).env("GIT_SSH_COMMAND", ssh);
    command
}

#[track_caller]
pub(crate) fn done(command: &mut Command) -> Run {
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, 0, "{command:?}\n{}\n{}", run.out(), run.stderr);
    run
}

/// The same with something on its standard input.
#[track_caller]
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let run = Run::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    run
}

fn big() -> bool {
    std::env::var_os("PORTCULLIS_BIG").is_some()
}

/// The size of every day, or the full one.
pub(crate) fn size(daily: usize, full: usize) -> usize {
    if big() { full } else { daily }
}

/// Bytes that no compression shortens and no two places share.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut all = Vec::with_capacity(bytes + 8);
    while all.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    all.truncate(bytes);
    all
}

pub(crate) fn noise_file(path: &Path, mib: usize) {
    let mut file = fs::File::create(path).unwrap();
    for number in 0..mib {
        file.write_all(&noise(number as u64 + 1, 1 << 20)).unwrap();
    }
}

/// 2,000 small files in 20 directories.
pub(crate) fn many_files(dir: &Path) {
    for number in 0..2000 {
        let deeper = dir.join(format!("d{}", number % 20));
        if number < 20 {
            fs::create_dir_all(&deeper).unwrap();
        }
        let bytes = noise(number + 1, usize::try_from(number).unwrap() % 1500);
        fs::write(deeper.join(format!("file {number}")), bytes).unwrap();
    }
}

/// Byte for byte, directories included.
#[track_caller]
pub(crate) fn same(one: &Path, other: &Path) {
    done(
        tool("diff", "diffutils", 300)
            .args(["-rq", "--"])
            .args([one, other]),
    );
}

/// Says on standard error what a transfer took: `cargo test -- --nocapture` shows it.
#[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
pub(crate) fn timed<T>(what: &str, mib: usize, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    let took = start.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    eprintln!("{what}: {took:.1} s, {:.0} MiB/s", mib as f64 / took);
    done
}
