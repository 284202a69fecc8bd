//! A key typed on a terminal, until its echo is there. The recording has it before the target does.

use crate::door::Door;
use crate::report::{Row, quantile};
use crate::stage::Stage;
use crate::wait;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

const KEYS: usize = 400;
/// Between two keys: a fast typist's machine is otherwise idle.
const PAUSE: Duration = Duration::from_millis(3);
/// Takes the terminal as vim does, and gives each byte back.
pub(crate) const RAW_CAT: &str = "stty raw -echo; echo ready; exec cat";

/// What each key took, in microseconds; nothing where the door has no terminal to give: tlog has none
/// on a machine without utmp.
fn type_keys(stage: &Stage, door: Door) -> Option<Vec<f64>> {
    let mut ssh = stage.near("ssh", &["-tt", door.host(), RAW_CAT]);
    let ssh = ssh.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let took = keys_between(stdin, stdout);
    assert!(
        took.is_ok() || door == Door::Tlog,
        "{}: {took:?}",
        door.name()
    );
    child.kill().unwrap();
    child.wait().unwrap();
    took.ok()
}

fn keys_between(mut stdin: impl Write, mut stdout: impl Read) -> io::Result<Vec<f64>> {
    let (mut ready, mut byte) = (Vec::new(), [0]);
    while !ready.ends_with(b"ready\n") {
        stdout.read_exact(&mut byte)?;
        ready.push(byte[0]);
    }
    let mut took = Vec::new();
    for _ in 0..KEYS {
        wait::hold(PAUSE);
        let began = Instant::now();
        stdin.write_all(b"k")?;
        stdout.read_exact(&mut byte)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

pub(crate) fn echo(stage: &Stage) -> Vec<Row> {
    let mut p50 = Row::new("keystroke echo p50", "us", Some(Door::Direct));
    let mut p99 = Row::new("keystroke echo p99", "us", Some(Door::Direct));
    stage.interleaved(&stage.doors, |door| {
        if let Some(took) = type_keys(stage, door) {
            p50.put(door, quantile(took.clone(), 0.5));
            p99.put(door, quantile(took, 0.99));
        }
    });
    vec![p50, p99]
}
