//! The directory of an export: its files, and the list of them that `sha256sum -c SHA256SUMS` takes.

use super::place::{UNFINISHED, Unfinished};
use crate::event::Shown;
use crate::replay::hexadecimal;
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const LIST: &str = "SHA256SUMS";
/// The list while it is not whole. The export that it is of can be done again over it.
const UNFINISHED_LIST: &str = "SHA256SUMS.unfinished";
const HEAD: &str = "# portcullis export ";
/// Files of an earlier export that this one does not have any more: their recordings may be gone, so
/// they stay.
const KEPT: &str = "# of an earlier export, and no longer part of it";

/// See [`Folder::take`].
pub(crate) struct Folder {
    dir: PathBuf,
    /// What an earlier export of the same left, without what was written since.
    earlier: BTreeMap<String, String>,
    list: Option<File>,
    open: Option<(String, Unfinished, Context)>,
    words: String,
}

impl Folder {
    /// A directory that is not there, that is empty, or that an earlier export with the same words
    /// made: anything else is refused, since a list could not say what is whose.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn take(dir: &Path, words: &str) -> Result<Self, String> {
        let shown = Shown(&dir.display().to_string()).to_string();
        let failed = |error: io::Error| format!("cannot use the directory `{shown}`: {error}");
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut folder = Self {
            dir: dir.to_owned(),
            earlier: BTreeMap::new(),
            list: None,
            open: None,
            words: words.to_owned(),
        };
        if entries.is_empty() {
            return Ok(folder);
        }
        let head = format!("{HEAD}{words}");
        for list in [LIST, UNFINISHED_LIST] {
            let Ok(file) = File::open(dir.join(list)) else {
                continue;
            };
            let mut lines = BufReader::new(file).lines();
            match lines.next().transpose().map_err(failed)? {
                Some(first) if first == head => {}
                Some(other) if other.starts_with(HEAD) => {
                    let other = other.strip_prefix("# ").unwrap_or_default();
                    return Err(format!(
                        "`{shown}` holds another export (`{}`): name a new directory",
                        Shown(other)
                    ));
                }
                Some(_) | None => continue,
            }
            for line in lines {
                let line = line.map_err(failed)?;
                if let Some((hash, name)) = line.split_once("  ") {
                    folder.earlier.insert(name.to_owned(), hash.to_owned());
                }
            }
        }
        let known = [LIST, UNFINISHED_LIST];
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = known.contains(&name.as_str()) || name.starts_with(UNFINISHED);
            if folder.earlier.contains_key(&name) || (ours && has_head(dir, &head)) {
                continue;
            }
            return Err(format!(
                "`{shown}` has `{}`, which no export with these words made: name a directory that \
                 is empty or new",
                Shown(&name)
            ));
        }
        Ok(folder)
    }

    pub(super) fn file(&mut self, name: &str) -> io::Result<()> {
        self.close()?;
        // Our own names: an id and an extension. Whatever answers must not lead out of here.
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(io::Error::other(format!(
                "`{}` is no file name",
                Shown(name)
            )));
        }
        if self.list.is_none() {
            self.begin()?;
        }
        let unfinished = Unfinished::begin(&self.dir.join(name))?;
        self.open = Some((name.to_owned(), unfinished, Context::new(&SHA256)));
        Ok(())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((_, file, hash)) = &mut self.open else {
            return Err(io::Error::other("bytes of no file"));
        };
        hash.update(bytes);
        file.write(bytes)
    }

    pub(super) fn whole(&mut self) -> io::Result<()> {
        self.close()?;
        if self.list.is_none() {
            self.begin()?;
        }
        let kept = std::mem::take(&mut self.earlier);
        if !kept.is_empty() {
            self.note(&format!("{KEPT}\n"))?;
        }
        for (name, hash) in kept {
            self.note(&format!("{hash}  {name}\n"))?;
        }
        if let Some(list) = self.list.take() {
            // Everything before the list that vouches for it.
            rustix::fs::syncfs(&list)?;
        }
        fs::rename(self.dir.join(UNFINISHED_LIST), self.dir.join(LIST))
    }

    pub(super) fn failed(&self, error: &io::Error) -> String {
        let dir = self.dir.display().to_string();
        format!(
            "cannot write into `{}`: {error}; the unfinished file is removed, what {UNFINISHED_LIST} \
             lists is whole, and the same command goes over it again",
            Shown(&dir)
        )
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.dir.join(UNFINISHED_LIST);
        self.list = Some(File::create(path)?);
        let head = format!("{HEAD}{}\n", self.words);
        self.note(&head)
    }

    fn close(&mut self) -> io::Result<()> {
        let Some((name, file, hash)) = self.open.take() else {
            return Ok(());
        };
        file.name()?;
        self.earlier.remove(&name);
        self.note(&format!("{}  {name}\n", hexadecimal(hash)))
    }

    fn note(&mut self, line: &str) -> io::Result<()> {
        use std::io::Write;
        match &mut self.list {
            Some(list) => list.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }
}

/// A list of these words is there.
fn has_head(dir: &Path, head: &str) -> bool {
    [LIST, UNFINISHED_LIST].iter().any(|list| {
        let file = File::open(dir.join(list)).map(BufReader::new);
        let first = file.ok().and_then(|file| file.lines().next()?.ok());
        first.as_deref() == Some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &mut Folder, files: &[(&str, &str)]) {
        for (name, text) in files {
            folder.file(name).unwrap();
            folder.bytes(text.as_bytes()).unwrap();
        }
        folder.whole().unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_that_is_not_ours_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("thesis.odt"), "x").unwrap();
        let refused = Folder::take(&dir, "--format jsonl").err().unwrap();
        assert!(refused.contains("thesis.odt"), "{refused}");
        // A list of files alone is no sign of ours, and neither is one with foreign files beside it.
        fs::write(dir.join(LIST), "x  thesis.odt\n").unwrap();
        assert!(Folder::take(&dir, "--format jsonl").is_err());
        fs::write(dir.join(LIST), "# portcullis export --format jsonl\n").unwrap();
        assert!(Folder::take(&dir, "--format jsonl").is_err());
        fs::remove_file(dir.join("thesis.odt")).unwrap();
        assert!(Folder::take(&dir, "--format jsonl").is_ok());
        let other = Folder::take(&dir, "--format csv").err().unwrap();
        assert!(other.contains("another export"), "{other}");
    }

    #[test]
    fn what_leads_out_of_the_directory_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = Folder::take(&temp.path().join("out"), "").unwrap();
        for name in ["../x", "/etc/x", "", ".hidden", ".."] {
            assert!(folder.file(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unfinished_file_goes_and_the_whole_ones_stay() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        let mut folder = Folder::take(&dir, "w").unwrap();
        folder.file("a").unwrap();
        folder.bytes(b"one").unwrap();
        folder.file("b").unwrap();
        folder.bytes(b"tw").unwrap();
        drop(folder);
        assert_eq!(names(&dir), [UNFINISHED_LIST, "a"]);
        let mut folder = Folder::take(&dir, "w").unwrap();
        written(&mut folder, &[("a", "one"), ("b", "two")]);
        assert_eq!(names(&dir), [LIST, "a", "b"]);
    }

    #[test]
    fn the_same_again_keeps_what_is_no_longer_part_of_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        written(
            &mut Folder::take(&dir, "w").unwrap(),
            &[("a", "1"), ("b", "2")],
        );
        let before = fs::read_to_string(dir.join(LIST)).unwrap();
        written(
            &mut Folder::take(&dir, "w").unwrap(),
            &[("a", "1"), ("b", "2")],
        );
        assert_eq!(fs::read_to_string(dir.join(LIST)).unwrap(), before);
        written(&mut Folder::take(&dir, "w").unwrap(), &[("b", "2")]);
        let after = fs::read_to_string(dir.join(LIST)).unwrap();
        assert!(after.contains(KEPT) && after.ends_with("  a\n"), "{after}");
        assert_eq!(names(&dir), [LIST, "a", "b"]);
        assert!(Folder::take(&dir, "w").is_ok());
    }
}
