use crate::policy::{Example, Fault, PolicySet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Larger is no policy that a person wrote, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Every `*.cedar` of a directory, and its one `*.cedarschema`.
///
/// # Errors
/// All faults, with file and line; an unreadable directory is one.
pub fn load_policies(dir: &Path) -> Result<PolicySet, Vec<Fault>> {
    let read = |extension| read(dir, extension).map_err(|error| vec![unreadable(dir, &error)]);
    let (files, schemas) = (read("cedar")?, read("cedarschema")?);
    match schemas.as_slice() {
        [(name, text)] => PolicySet::parse(&files, (name, text)),
        others => Err(vec![Fault {
            file: dir.display().to_string(),
            line: 1,
            message: format!(
                "there must be one *.cedarschema, there are {}",
                others.len()
            ),
        }]),
    }
}

/// The examples beside the policies: every `*.toml` of the directory.
///
/// # Errors
/// As [`load_policies`].
pub fn load_examples(dir: &Path) -> Result<Vec<Example>, Vec<Fault>> {
    let texts = read(dir, "toml").map_err(|error| vec![unreadable(dir, &error)])?;
    let (mut examples, mut faults) = (Vec::new(), Vec::new());
    for (file, text) in &texts {
        match Example::parse(file, text) {
            Ok(more) => examples.extend(more),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() {
        Ok(examples)
    } else {
        Err(faults)
    }
}

/// What [`load_policies`] reads of a directory, to be watched.
pub fn policy_files(dir: &Path) -> Vec<PathBuf> {
    let of = |extension| files(dir, extension).unwrap_or_default();
    let mut files = of("cedar");
    files.extend(of("cedarschema"));
    files
}

/// In order of names. What begins with a dot is an editor's.
fn files(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(dir: &Path, extension: &str) -> io::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in files(dir, extension)? {
        let text = fs::metadata(&path).and_then(|about| {
            if about.len() > FILE_BYTES_MAX {
                let message = format!("it is larger than {FILE_BYTES_MAX} bytes");
                return Err(io::Error::other(message));
            }
            fs::read_to_string(&path)
        });
        let text = text.map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        texts.push((name.into_owned(), text));
    }
    Ok(texts)
}

fn unreadable(dir: &Path, error: &io::Error) -> Fault {
    Fault {
        file: dir.display().to_string(),
        line: 1,
        message: error.to_string(),
    }
}
