//! Files, the screen, and a tool that opens many sessions.

use crate::door::Door;
use crate::report::Row;
use crate::stage::{Stage, timed};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Something to look at, a line at a time: names, sizes, times.
const SHOWN: &str = "find /usr/share /usr/lib -ls 2>/dev/null | head -c 4000000";
const ANSIBLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/tools/oracles/bin/ansible-playbook"
);
const HOSTS: usize = 20;

/// `sftp` with these lines; what it takes beyond coming and going.
fn sftp_takes(stage: &Stage, door: Door, line: &str) -> f64 {
    let run = |lines: &str| {
        let mut sftp = stage.near("sftp", &["-q", "-b", "-", door.host()]);
        let began = std::time::Instant::now();
        let mut child = sftp.stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        crate::stage::ended(child);
        began.elapsed().as_secs_f64()
    };
    // Coming and going, which is not what is measured; at its quickest.
    let nothing = (0..3).map(|_| run("pwd\n")).fold(f64::MAX, f64::min);
    (run(line) - nothing).max(0.001)
}

pub(crate) fn sftp(stage: &Stage) -> Vec<Row> {
    let file = stage.world.path("big");
    let bytes = stage.mib * 1024 * 1024;
    fs::File::create(&file).unwrap().set_len(bytes).unwrap();
    let there = stage.world.path("there");
    // A terminal recorder has no subsystem to record.
    let doors: Vec<Door> = stage
        .doors
        .iter()
        .copied()
        .filter(|door| *door != Door::Tlog)
        .collect();
    let get = format!("get {} /dev/null\n", file.display());
    let put = format!("put {} {}\n", file.display(), there.display());
    let rate = |door, line: &str| stage.mib as f64 / sftp_takes(stage, door, line);
    let rows = vec![
        stage.row("sftp get", "MiB/s", &doors, |door| rate(door, &get)),
        stage.row("sftp put", "MiB/s", &doors, |door| rate(door, &put)),
    ];
    fs::remove_file(&file).unwrap();
    fs::remove_file(&there).unwrap();
    rows
}

/// Bytes below a directory.
fn stored(dir: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        bytes += match path.is_dir() {
            true => stored(&path),
            false => entry.metadata().unwrap().len(),
        };
    }
    bytes
}

/// What a session on a terminal takes on the disk once it is over, for each byte shown.
pub(crate) fn terminal(stage: &Stage) -> Vec<Row> {
    let recordings = stage.world.path("bastion/state/recordings");
    let mut row = Row::new("terminal: recorded for a byte shown", "bytes", None);
    for _ in 0..stage.rounds {
        let before = stored(&recordings);
        let shown = stage
            .near("ssh", &["-tt", Door::Name.host(), SHOWN])
            .stdout(Stdio::piped())
            .output();
        let shown = shown.unwrap().stdout.len();
        // The end is recorded, and the index has heard of it.
        stage.all_left();
        row.put(
            Door::Name,
            (stored(&recordings) - before) as f64 / shown as f64,
        );
    }
    vec![row]
}

/// A play of two tasks on 20 hosts that are all the target.
pub(crate) fn ansible(stage: &Stage) -> Vec<Row> {
    let name = "ansible, 2 tasks on 20 hosts";
    if !Path::new(ANSIBLE).exists() {
        return vec![Row::not_measured(
            name,
            "no ansible in target/tools/oracles",
        )];
    }
    let play = stage.world.path("play.yml");
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.raw: \"true\"\n    \
                - ansible.builtin.command: \"true\"\n";
    fs::write(&play, text).unwrap();
    let doors: Vec<Door> = stage
        .doors
        .iter()
        .copied()
        .filter(|door| *door != Door::Tlog)
        .collect();
    let row = stage.row(name, "s", &doors, |door| {
        let hosts = (0..HOSTS).map(|n| format!("h{n} ansible_host={}\n", door.host()));
        let inventory = stage.world.path("inventory");
        fs::write(&inventory, hosts.collect::<String>()).unwrap();
        let mut run = Command::new(ANSIBLE);
        run.args(["-f", "20", "-i"]).arg(&inventory).arg(&play);
        let words = format!("-F {} -o ControlMaster=no", stage.near_config().display());
        run.env("ANSIBLE_SSH_ARGS", words)
            .env("ANSIBLE_HOST_KEY_CHECKING", "false");
        run.env("HOME", stage.world.path("home"));
        timed(run.stdout(Stdio::null()).stdin(Stdio::null()))
    });
    vec![row]
}
