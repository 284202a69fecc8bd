//! Sessions that do nothing: how long one takes, and how many there are in a second.

use crate::door::Door;
use crate::report::{Row, median};
use crate::stage::{Stage, timed};
use std::process::Command;
use std::thread;
use std::time::Instant;

/// In a row, each round.
const SERIAL: usize = 8;
/// At once, and how many after each other.
const AT_ONCE: usize = 16;
const EACH: usize = 4;
const OVER_MASTER: usize = 15;
const FAR: usize = 3;

pub(crate) fn setup(stage: &Stage) -> Vec<Row> {
    let row = stage.row("set-up (ssh HOST true)", "ms", &stage.doors, |door| {
        let run = || timed(&mut stage.near("ssh", &[door.host(), "true"]));
        median((0..SERIAL).map(|_| run() * 1000.0).collect())
    });
    vec![row]
}

pub(crate) fn rate(stage: &Stage) -> Vec<Row> {
    let mut rate = Row::new("set-ups at 16 at once", "/s", Some(Door::Direct));
    let mut cpu = Row::new("processor of the bastion for a login", "ms", None);
    stage.interleaved(&stage.doors, |door| {
        let before = stage.cpu(door);
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        timed(&mut stage.near("ssh", &[door.host(), "true"]));
                    }
                });
            }
        });
        let count = (AT_ONCE * EACH) as f64;
        rate.put(door, count / began.elapsed().as_secs_f64());
        let spent = stage.cpu(door).zip(before).map(|(now, then)| now - then);
        if let Some(spent) = spent {
            cpu.put(door, spent * 1000.0 / count);
        }
    });
    vec![rate, cpu]
}

/// `true` over a ControlMaster that is there already.
pub(crate) fn mux(stage: &Stage) -> Vec<Row> {
    let row = stage.row(
        "true over a warm ControlMaster",
        "ms",
        &stage.doors,
        |door| {
            let socket = stage.world.path(door.host());
            let path = format!("ControlPath={}", socket.display());
            let master = ["-f", "-N", "-M", "-o", &path, door.host()];
            timed(&mut stage.near("ssh", &master));
            let run = || timed(&mut stage.near("ssh", &["-o", &path, door.host(), "true"]));
            run();
            let took = median((0..OVER_MASTER).map(|_| run() * 1000.0).collect());
            let mut end: Command =
                stage.near("ssh", &["-q", "-O", "exit", "-o", &path, door.host()]);
            timed(end.stderr(std::process::Stdio::null()));
            took
        },
    );
    vec![row]
}

/// The same as `setup` where the user is 50 ms away: round trips count.
pub(crate) fn far(stage: &Stage) -> Vec<Row> {
    let mut doors = vec![Door::ProxyJump];
    doors.extend(stage.doors.iter().filter(|door| **door != Door::ProxyJump));
    let row = stage.row("set-up at 50 ms", "ms", &doors, |door| {
        let run = || timed(&mut stage.far("ssh", &[door.host(), "true"]));
        median((0..FAR).map(|_| run() * 1000.0).collect())
    });
    vec![row]
}
