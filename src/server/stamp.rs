//! How files looked: enough to see that they changed, whichever way an editor writes them.

use crate::access;
use crate::config::Config;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Of each file: inode, size, and both times. A rename over it changes the inode; `cp -p` of
/// another file of the same size and time changes the time of status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, Option<[i128; 4]>)>);

impl Stamp {
    fn of(files: Vec<PathBuf>) -> Self {
        let look = |file: PathBuf| {
            let about = std::fs::metadata(&file).ok().map(|about| {
                let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
                [
                    i128::from(about.ino()),
                    i128::from(about.size()),
                    nanoseconds(about.mtime(), about.mtime_nsec()),
                    nanoseconds(about.ctime(), about.ctime_nsec()),
                ]
            });
            (file, about)
        };
        Self(files.into_iter().map(look).collect())
    }
}

/// All that is watched, by what is read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps {
    pub(super) config: Stamp,
    pub(super) policies: Stamp,
    pub(super) trust: Stamp,
}

impl Stamps {
    pub(super) fn look(config: &Config) -> Self {
        let mut trust = config.revoked.clone();
        let authorities = config.authorities.iter();
        trust.extend(authorities.map(|authority| authority.file.clone()));
        trust.extend(config.groups.clone());
        Self {
            config: Stamp::of(config.sources()),
            policies: Stamp::of(access::policy_files(&config.policies)),
            trust: Stamp::of(trust),
        }
    }
}

/// What was seen last, and what was acted on. Each part is read when it has looked alike twice: a
/// file that is still being written is left until it is whole, and holds up none of the others.
pub(super) struct Seen {
    last: Stamps,
    done: Stamps,
}

/// What is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) config: bool,
    pub(super) policies: bool,
    pub(super) trust: bool,
}

impl Seen {
    pub(super) fn from(now: Stamps) -> Self {
        Self {
            last: now.clone(),
            done: now,
        }
    }

    pub(super) fn look(&mut self, now: Stamps) -> Changed {
        let settled = |now: &Stamp, last: &Stamp, done: &mut Stamp| {
            let changed = now == last && now != done;
            if changed {
                done.clone_from(now);
            }
            changed
        };
        let (last, done) = (&self.last, &mut self.done);
        let changed = Changed {
            config: settled(&now.config, &last.config, &mut done.config),
            policies: settled(&now.policies, &last.policies, &mut done.policies),
            trust: settled(&now.trust, &last.trust, &mut done.trust),
        };
        self.last = now;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_read_when_it_is_whole_and_holds_up_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let stamp = |name: &str| Stamp::of(vec![dir.path().join(name)]);
        let now = || Stamps {
            config: stamp("config"),
            policies: stamp("policies"),
            trust: stamp("trust"),
        };
        let mut seen = Seen::from(now());
        let mut look = || {
            let changed = seen.look(now());
            (changed.config, changed.policies, changed.trust)
        };
        assert_eq!(look(), (false, false, false));
        write("policies", "half");
        write("trust", "whole");
        assert_eq!(look(), (false, false, false));
        write("policies", "half and more");
        assert_eq!(look(), (false, false, true));
        assert_eq!(look(), (false, true, false));
        assert_eq!(look(), (false, false, false));
    }

    #[test]
    fn a_file_of_the_same_size_and_time_is_seen_to_be_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let look = || Stamp::of(vec![file.clone()]);
        let none = look();
        fs::write(&file, "one").unwrap();
        let first = look();
        assert_ne!(none, first);
        assert_eq!(first, look());
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let beside = dir.path().join("b");
        fs::write(&beside, "two").unwrap();
        let options = fs::File::options().write(true).open(&beside).unwrap();
        options.set_modified(time).unwrap();
        fs::rename(&beside, &file).unwrap();
        assert_ne!(first, look());
    }
}
