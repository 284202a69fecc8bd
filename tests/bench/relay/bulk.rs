//! Many bytes one way: how many in a second, from the first to the last, and what the bastion's
//! processor had to do for them.

use crate::door::Door;
use crate::report::Row;
use crate::stage::{Stage, ended};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

const MIB: u64 = 1024 * 1024;
/// Enough for windows to open, at 50 ms.
const FAR_MIB: u64 = 64;

/// MiB in a second, target to user.
fn down(mut ssh: Command, mib: u64) -> f64 {
    ssh.arg(format!("head -c {} /dev/zero", mib * MIB));
    let mut child = ssh.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut block = vec![0; 256 * 1024];
    let mut bytes = stdout.read(&mut block).unwrap() as u64;
    let began = Instant::now();
    let first = bytes;
    while bytes < mib * MIB {
        let n = stdout.read(&mut block).unwrap() as u64;
        assert!(n > 0, "it ended after {bytes} bytes");
        bytes += n;
    }
    let took = began.elapsed().as_secs_f64();
    ended(child);
    (bytes - first) as f64 / MIB as f64 / took
}

/// The same, user to target.
fn up(mut ssh: Command, mib: u64) -> f64 {
    ssh.arg(format!("echo; head -c {} >/dev/null; echo", mib * MIB));
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut line = [0];
    stdout.read_exact(&mut line).unwrap();
    let block = vec![0; 256 * 1024];
    let began = Instant::now();
    for _ in 0..mib * 4 {
        stdin.write_all(&block).unwrap();
    }
    stdout.read_exact(&mut line).unwrap();
    let took = began.elapsed().as_secs_f64();
    drop(stdin);
    ended(child);
    mib as f64 / took
}

/// tlog writes each byte down as text: as much through it would take minutes.
fn amount(door: Door, mib: u64) -> u64 {
    match door {
        Door::Tlog => (mib / 16).max(1),
        Door::Direct | Door::ProxyJump | Door::ForceCommand | Door::Name | Door::Jump => mib,
    }
}

/// How fast that `ssh` carries so many MiB.
type Way = fn(Command, u64) -> f64;

pub(crate) fn bulk(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    let ways: [(&str, Way); 2] = [("down", down), ("up", up)];
    for (way, run) in ways {
        let unit = "MiB/s";
        let mut rate = Row::new(&format!("bulk {way}"), unit, Some(Door::Direct));
        let mut cpu = Row::new(&format!("bulk {way}: bastion's processor"), "s/GiB", None);
        stage.interleaved(&stage.doors, |door| {
            let before = stage.cpu(door);
            let mib = amount(door, stage.mib);
            rate.put(door, run(stage.near("ssh", &[door.host()]), mib));
            let spent = stage.cpu(door).zip(before).map(|(now, then)| now - then);
            if let Some(spent) = spent {
                cpu.put(door, spent * 1024.0 / mib as f64);
            }
        });
        rows.push(against_proxy_jump(&rate, way));
        rows.insert(rows.len() - 1, rate);
        rows.push(cpu);
    }
    rows
}

/// By jump, against what sshd's own ProxyJump did in the same round.
fn against_proxy_jump(rate: &Row, way: &str) -> Row {
    let mut row = Row {
        name: format!("bulk {way}, jump against sshd -J"),
        base: Some(Door::ProxyJump),
        ..rate.clone()
    };
    row.cells
        .retain(|cell| matches!(cell.door, Door::ProxyJump | Door::Jump));
    row
}

/// The same at a round trip of 50 ms.
pub(crate) fn far(stage: &Stage) -> Vec<Row> {
    let doors: Vec<Door> = stage.doors.clone();
    let mib = stage.mib.min(FAR_MIB);
    let row = |name: &str, run: Way| {
        stage.row(name, "MiB/s", &doors, |door| {
            run(stage.far("ssh", &[door.host()]), amount(door, mib))
        })
    };
    vec![row("bulk down at 50 ms", down), row("bulk up at 50 ms", up)]
}
