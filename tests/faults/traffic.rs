//! A person's program that runs while something breaks, and what it and the target got.

use crate::world::World;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// What a client received so far, and whether that is all.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    over: bool,
}

/// Lines to the target.
#[derive(Clone, Copy)]
enum Sends {
    Nothing,
    All(u32),
    /// As fast as they are taken.
    ForEver,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    grew: Condvar,
}

pub(crate) struct Client {
    child: Child,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Open until the client ends: what it sent is all for now.
    _stdin: Arc<Mutex<Option<ChildStdin>>>,
    pub(crate) marker: String,
    /// Where the target keeps what it took.
    took: PathBuf,
}

impl Client {
    /// On a terminal: numbered lines, as fast as the target's shell says them.
    pub(crate) fn terminal(world: &World, marker: &str) -> Self {
        let command = format!("echo {marker}; i=0; while echo line $i; do i=$((i+1)); done");
        Self::start(world, marker, &["-tt"], &command, Sends::Nothing)
    }

    /// On a terminal: so many numbered lines, and no end.
    pub(crate) fn terminal_up_to(world: &World, marker: &str, lines: u32) -> Self {
        let command = format!("echo {marker}; seq 1 {lines}; exec sleep 100");
        Self::start(world, marker, &["-tt"], &command, Sends::Nothing)
    }

    /// Without a terminal, both ways: what is sent comes back, and the target keeps a copy.
    pub(crate) fn both_ways(world: &World, marker: &str) -> Self {
        Self::through_tee(world, marker, Sends::ForEver)
    }

    /// The same with so many lines, and no end.
    pub(crate) fn both_ways_up_to(world: &World, marker: &str, lines: u32) -> Self {
        Self::through_tee(world, marker, Sends::All(lines))
    }

    fn through_tee(world: &World, marker: &str, sends: Sends) -> Self {
        let took = world.path(&format!("took-{marker}"));
        let command = format!("tee {}", took.display());
        Self::start(world, marker, &[], &command, sends)
    }

    /// Without a terminal, more than is kept.
    pub(crate) fn bulk(world: &World, marker: &str) -> Self {
        Self::start(
            world,
            marker,
            &[],
            &format!(": {marker}; seq 1 90000000"),
            Sends::Nothing,
        )
    }

    pub(crate) fn run(world: &World, marker: &str, command: &str) -> Self {
        let command = format!(": {marker}; {command}");
        Self::start(world, marker, &[], &command, Sends::Nothing)
    }

    fn start(world: &World, marker: &str, options: &[&str], command: &str, sends: Sends) -> Self {
        let target = format!("{}@db1@bastion", world.login);
        let mut words = world.words("ana", options);
        words.extend([target, command.to_owned()]);
        let mut client = Command::new("timeout");
        client
            .args(["--foreground", "-k", "5", "120", "ssh"])
            .args(words);
        client.stdout(Stdio::piped()).stderr(Stdio::null());
        client.stdin(match sends {
            Sends::Nothing => Stdio::null(),
            Sends::All(_) | Sends::ForEver => Stdio::piped(),
        });
        let mut child = client.spawn().unwrap();
        let shared = Arc::new(Shared::default());
        let mut stdout = child.stdout.take().unwrap();
        let reader = Arc::clone(&shared);
        let mut threads = vec![std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let got = stdout.read(&mut buffer).unwrap_or(0);
                let mut seen = reader.seen.lock().unwrap();
                seen.bytes.extend_from_slice(&buffer[..got]);
                seen.over = got == 0;
                reader.grew.notify_all();
                if got == 0 {
                    return;
                }
            }
        })];
        let stdin = Arc::new(Mutex::new(child.stdin.take()));
        let sender = Arc::clone(&stdin);
        threads.push(std::thread::spawn(move || {
            let mut stdin = sender.lock().unwrap();
            let numbers = match sends {
                Sends::Nothing => 0..0,
                Sends::All(lines) => 0..lines,
                Sends::ForEver => 0..u32::MAX,
            };
            for number in numbers {
                // Until the client is gone.
                let sent = stdin.as_mut().map(|stdin| writeln!(stdin, "sent {number}"));
                if !matches!(sent, Some(Ok(()))) {
                    return;
                }
            }
        }));
        Self {
            child,
            shared,
            threads,
            _stdin: stdin,
            marker: marker.to_owned(),
            took: world.path(&format!("took-{marker}")),
        }
    }

    /// Waits until the client has this many bytes; false when it ended before.
    pub(crate) fn wait_for(&self, bytes: usize) -> bool {
        let seen = self.shared.seen.lock().unwrap();
        let waits = |seen: &mut Seen| seen.bytes.len() < bytes && !seen.over;
        let seen = self.shared.grew.wait_while(seen, waits).unwrap();
        seen.bytes.len() >= bytes
    }

    /// To its end: what the person's program got and what the target's took.
    pub(crate) fn end(mut self) -> (Vec<u8>, Vec<u8>) {
        self.child.wait().unwrap();
        for thread in self.threads {
            thread.join().unwrap();
        }
        let took = fs::read(&self.took).unwrap_or_default();
        let seen = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        (seen.bytes, took)
    }
}
