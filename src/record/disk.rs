//! Room on the disk: two marks, and a ballast that is thrown away when nothing else is left, so that
//! the chunks of the sessions that end then can still be written (docs/operate/state.md).

use super::Free;
use super::file::write_zeros;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const BALLAST_BYTES: u64 = 16 * 1024 * 1024; // 16 MiB

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

impl Space {
    pub(crate) fn of(dir: &Path) -> Option<Self> {
        let disk = statvfs(dir).ok()?;
        Some(Self {
            free: disk.f_bavail * disk.f_frsize,
            total: disk.f_blocks * disk.f_frsize,
        })
    }

    pub(crate) fn is_below(self, mark: Free) -> bool {
        mark.is_below(self.free, self.total)
    }
}

impl Free {
    /// Whether that little is free of so much.
    pub fn is_below(self, free: u64, total: u64) -> bool {
        match self {
            Self::Bytes(mark) => free < mark,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a share of a disk needs no last byte"
            )]
            Self::Percent(mark) => (free as f64) * 100.0 < mark * total as f64,
        }
    }
}

pub(crate) struct Ballast {
    path: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// Never more than a segment: a small journal has a small ballast.
    pub(crate) fn new(journal: &Path, segment_bytes: u64) -> Self {
        Self {
            path: journal.join("ballast"),
            bytes: BALLAST_BYTES.min(segment_bytes),
        }
    }

    /// What a session may count on: room that the ballast will take again is none. Without this a disk
    /// that just became full would look free again, for having given the ballast up.
    pub(crate) fn deduct(&self, space: Space) -> Space {
        let missing = if self.path.exists() { 0 } else { self.bytes };
        Space {
            free: space.free.saturating_sub(missing),
            ..space
        }
    }

    /// Makes it, where there is room for twice as much.
    pub(crate) fn fill(&self, space: Space) {
        if self.path.exists() || space.free < 2 * self.bytes {
            return;
        }
        if let Err(error) = self.make() {
            tracing::warn!(%error, "no ballast: on a full disk the last chunks may have to wait");
            self.release();
        }
    }

    fn make(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        if fallocate(&file, FallocateFlags::empty(), 0, self.bytes).is_err() {
            // Not every file system can; zeros take room on most of those.
            write_zeros(&mut file, self.bytes)?;
        }
        file.sync_all()
    }

    /// True when that made room.
    pub(crate) fn release(&self) -> bool {
        let emptied = OpenOptions::new().write(true).open(&self.path);
        let emptied = emptied.and_then(|file: File| file.set_len(0));
        std::fs::remove_file(&self.path).is_ok() || emptied.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_shares_or_bytes() {
        let space = Space {
            free: 50,
            total: 1000,
        };
        assert!(space.is_below(Free::Percent(5.1)));
        assert!(!space.is_below(Free::Percent(5.0)));
        assert!(space.is_below(Free::Bytes(51)));
        assert!(!space.is_below(Free::Bytes(50)));
    }

    #[test]
    fn ballast_takes_room_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path(), 1024 * 1024);
        let path = dir.path().join("ballast");
        let scarce = Space {
            free: 1024 * 1024,
            total: 1,
        };
        ballast.fill(scarce);
        assert!(!path.exists());
        ballast.fill(Space::of(dir.path()).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 1024 * 1024);
        let space = Space {
            free: 5 << 20,
            total: 9 << 20,
        };
        assert_eq!(ballast.deduct(space).free, 5 << 20);
        assert!(ballast.release());
        assert_eq!(ballast.deduct(space).free, 4 << 20);
        assert!(!path.exists());
        assert!(!ballast.release());
    }
}
