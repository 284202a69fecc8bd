use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[recording]`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The state directory: `journal/` and `recordings/` are made in it.
    pub dir: PathBuf,
    /// Journal segment, bytes.
    pub segment_bytes: u64,
    /// A session's chunk closes at this many bytes of lines, or after `chunk_age`.
    pub chunk_bytes: usize,
    pub chunk_age: Duration,
    /// Free space below which an alert is written, and no new session opens.
    pub warn_free: Free,
    pub refuse_free: Free,
}

/// A share of the disk or bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Free {
    Percent(f64),
    Bytes(u64),
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the recorder has stopped")]
    Stopped,
    #[error("as many people as may watch sessions of this node do so: try again later")]
    Watched,
    #[error("the recording disk is full: {} MiB are left", free_bytes / (1024 * 1024))]
    Full { free_bytes: u64 },
    #[error("the disk of the journal did not answer for {} s", .0.as_secs())]
    Slow(Duration),
    #[error("a record of {bytes} bytes is more than the journal takes")]
    TooLong { bytes: usize },
    #[error(
        "`{}` is held by another process (pid {pid}): is the bastion already running?",
        path.display()
    )]
    Taken { path: PathBuf, pid: String },
    #[error("cannot {doing} `{}`: {problem}{}", path.display(), hint(problem))]
    Io {
        doing: &'static str,
        path: PathBuf,
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            problem: error.to_string(),
        }
    }
}

/// What to do about it, where that is known.
fn hint(problem: &str) -> &'static str {
    let knows = |words: &str| problem.contains(words);
    if knows("No space left") || knows("quota") {
        return "; free some space there, or move `[state] dir` to a larger disk";
    }
    if knows("Permission denied") || knows("Read-only") || knows("not permitted") {
        return "; the bastion's user must be able to write there";
    }
    ""
}

/// When an entry counts as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is written: a killed process loses nothing, lost power up to 50 ms.
    #[default]
    Batch,
    /// When the disk has it for certain.
    Sync,
}

/// Figures for `doctor` and the status.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Status {
    pub free_bytes: u64,
    pub unsynced_bytes: u64,
    pub sessions_open: u64,
    pub slow_writes: u64,
    /// Segments that failed and were replaced.
    pub replaced_segments: u64,
    pub accepts_sessions: bool,
}
