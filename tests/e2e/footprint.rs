//! What a bastion holds: memory, descriptors, threads, tasks. After people left it must hold no more
//! than before they came.

use crate::wait;
use crate::world::World;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What connections and sessions use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    descriptors: usize,
    threads: usize,
    tasks: u64,
}

impl Footprint {
    fn within(self, other: Self) -> bool {
        self.descriptors <= other.descriptors
            && self.threads <= other.threads
            && self.tasks <= other.tasks
    }
}

/// The index and the journal open and close files when they like, also for what ended long ago.
fn is_of_the_node(link: &Path) -> bool {
    let name = link.to_string_lossy();
    let own = ["portcullis.db", "/state/journal/", "/state/recordings/"];
    own.iter().any(|part| name.contains(part))
}

/// Nobody is there, and nothing of anybody waits.
fn is_empty(status: &Value) -> bool {
    let counts = [
        "connections",
        "unauthenticated",
        "sessions",
        "waiting_bytes",
    ];
    counts.iter().all(|field| status[*field] == 0)
}

impl World {
    /// What the running bastion says of itself.
    pub(crate) fn status(&self) -> Value {
        let run = self.verb(&["--json", "status"]).ok();
        serde_json::from_slice(&run.stdout).unwrap()
    }

    /// A limit's counter.
    pub(crate) fn refused(&self, counter: &str) -> u64 {
        self.status()["refused"][counter].as_u64().unwrap()
    }

    fn footprint(&self) -> Footprint {
        let process = format!("/proc/{}", self.bastion_pid());
        let files = fs::read_dir(format!("{process}/fd")).unwrap();
        let links = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
        let names = fs::read_dir(format!("{process}/task")).unwrap();
        let names =
            names.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        Footprint {
            descriptors: links.filter(|link| !is_of_the_node(link)).count(),
            threads: names.filter(|name| !name.starts_with("sqlx")).count(),
            tasks: self.status()["tasks"].as_u64().unwrap(),
        }
    }

    /// A bastion that has seen somebody and is at rest again.
    pub(crate) fn at_rest(&self) -> Footprint {
        self.ssh("ana", &["db1", "true"]).ok();
        self.ended_sessions(1);
        let mut last = None;
        wait::until("a bastion at rest", || {
            let now = self.footprint();
            let status = self.status();
            (last.replace(now) == Some(now) && is_empty(&status)).then_some(now)
        })
    }

    /// Nothing of anybody is left: no session, no task, no descriptor, no thread.
    pub(crate) fn is_at_rest_again(&self, before: Footprint) {
        let mut now = before;
        let mut status = Value::Null;
        let rest = std::panic::AssertUnwindSafe(|| {
            wait::until("nothing to be left", || {
                now = self.footprint();
                status = self.status();
                (is_empty(&status) && now.within(before)).then_some(())
            });
        });
        if std::panic::catch_unwind(rest).is_err() {
            panic!("left behind: {now:?}, before {before:?}; {status}");
        }
        // The index hears of an end a little later.
        wait::until("sessions that ended", || {
            let sessions = self.sessions();
            let ended = sessions.iter().all(|session| session["active"] == false);
            ended.then_some(())
        });
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }

    fn memory_kib(&self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.bastion_pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Resident now; the peak is measured from here on (proc(5), clear_refs).
    pub(crate) fn start_measuring(&self) -> u64 {
        fs::write(format!("/proc/{}/clear_refs", self.bastion_pid()), "5").unwrap();
        self.memory_kib("VmRSS")
    }

    /// Resident at most since then, beyond what it was; said in the test's output.
    pub(crate) fn grown_at_most(&self, base_kib: u64, limit_mib: u64, what: &str) {
        let peak = self.memory_kib("VmHWM");
        let grown = peak.saturating_sub(base_kib);
        eprintln!("memory: {what}: base {base_kib} KiB, peak {peak} KiB, grown {grown} KiB");
        assert!(
            grown <= limit_mib * 1024,
            "{what}: grew by {grown} KiB, at most {limit_mib} MiB"
        );
    }
}
