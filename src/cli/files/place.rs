//! Where the bytes of an answer go.

use super::folder::Folder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Evidence is nobody else's to read.
const MODE: u32 = 0o600;

/// Who called writes here.
pub(crate) enum Place {
    Standard,
    /// One file, which has its name once it is whole.
    One {
        path: PathBuf,
        unfinished: Option<Unfinished>,
    },
    Folder(Box<Folder>),
}

impl Place {
    /// # Errors
    /// What is wrong with the path, as a sentence.
    pub(crate) fn one(path: PathBuf) -> Result<Self, String> {
        let shown = path.display();
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(format!(
                    "`{shown}` is there and is no file: name another one"
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot write `{shown}`: {error}")),
        }
        let unfinished = None;
        Ok(Self::One { path, unfinished })
    }

    pub(super) fn file(&mut self, name: &str) -> io::Result<()> {
        match self {
            Self::Standard | Self::One { .. } => Ok(()),
            Self::Folder(folder) => folder.file(name),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard => io::stdout().lock().write_all(bytes),
            Self::One { path, unfinished } => {
                let open = match unfinished {
                    Some(open) => open,
                    None => unfinished.insert(Unfinished::begin(path)?),
                };
                open.write(bytes)
            }
            Self::Folder(folder) => folder.bytes(bytes),
        }
    }

    pub(super) fn whole(&mut self) -> io::Result<()> {
        match self {
            Self::Standard => io::stdout().flush(),
            Self::One { path, unfinished } => match unfinished.take() {
                Some(open) => {
                    open.file.sync_all()?;
                    open.name()
                }
                None => Unfinished::begin(path)?.name(),
            },
            Self::Folder(folder) => folder.whole(),
        }
    }

    /// What to say of a write that failed.
    pub(super) fn failed(&self, error: &io::Error) -> String {
        match self {
            Self::Standard => format!("cannot write to standard output: {error}"),
            Self::One { path, .. } => format!(
                "cannot write `{}`: {error}; the unfinished file is removed",
                path.display()
            ),
            Self::Folder(folder) => folder.failed(error),
        }
    }
}

/// A file under a name of its own beside the right one, which it gets when it is whole. Removed when
/// it does not come to that.
pub(crate) struct Unfinished {
    file: File,
    path: PathBuf,
    goal: PathBuf,
    named: bool,
}

pub(super) const UNFINISHED: &str = ".portcullis-unfinished-";

impl Unfinished {
    pub(super) fn begin(goal: &Path) -> io::Result<Self> {
        let name = goal.file_name().unwrap_or_default().to_string_lossy();
        let path = goal.with_file_name(format!("{UNFINISHED}{name}"));
        // Left by one who was killed: it is nobody's.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&path)?;
        let goal = goal.to_owned();
        Ok(Self {
            file,
            path,
            goal,
            named: false,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    pub(super) fn name(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.goal)?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.named {
            // Who asked for it is told that it failed; there is nobody to tell this as well.
            drop(fs::remove_file(&self.path));
        }
    }
}
