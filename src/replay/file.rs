//! A recording outside of an archive: its directory, one chunk, or the lines that `events` prints.

use super::chunks::{LINE_BYTES_MAX, Lines, chunk_number};
use super::line::{Line, NotALine};
use super::open::{Damage, Error, Piece, Problem, Step};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The parsed lines, with what is no line named.
pub type Steps = Box<dyn Iterator<Item = Result<Step, Error>>>;

/// Opens it. Blocking.
///
/// # Errors
/// When it cannot be read; the iterator gives [`Error::Newer`].
pub fn open_file(path: &Path) -> Result<Steps, Error> {
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut chunks = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(number) = entry.file_name().to_str().and_then(chunk_number) {
                chunks.push((number, entry.path()));
            }
        }
        chunks.sort();
    } else if path
        .extension()
        .is_some_and(|end| end == "zst" || end == "age")
    {
        chunks.push((0, path.to_owned()));
    } else {
        let file = BufReader::new(File::open(path).map_err(failed)?);
        return Ok(Box::new(Plain::new(file).filter_map(step)));
    }
    Ok(Box::new(Lines::new(chunks, 0).filter_map(step)))
}

fn step(piece: Piece) -> Option<Result<Step, Error>> {
    let bytes = match piece {
        Piece::Damage(damage) => return Some(Ok(Step::Damage(damage))),
        Piece::Line(bytes) if bytes.is_empty() => return None,
        Piece::Line(bytes) => bytes,
    };
    Some(match Line::parse(&bytes) {
        Ok(line) => Ok(Step::Line(Box::new(line))),
        Err(NotALine::Newer(found)) => Err(Error::Newer { found }),
        Err(NotALine::Malformed(message)) => Ok(Step::Damage(Damage {
            chunk: 0,
            problem: Problem::NotAnEvent { message },
        })),
    })
}

struct Plain {
    file: BufReader<File>,
    line: u64,
    broken: bool,
}

impl Iterator for Plain {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.line += 1;
        let wrong = |problem| Some(Piece::Damage(Damage { chunk: 0, problem }));
        let mut line = Vec::new();
        match self.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) if line.pop_if(|last| *last == b'\n').is_some() => Some(Piece::Line(line)),
            Ok(read) if read >= LINE_BYTES_MAX => wrong(Problem::TooLong { line: self.line }),
            Ok(_) => Some(Piece::Line(line)),
            // Once: a disk that does not read would say so for ever.
            Err(_) if self.broken => None,
            Err(error) => {
                self.broken = true;
                let message = error.to_string();
                let after = self.line;
                wrong(Problem::Unreadable { after, message })
            }
        }
    }
}

impl Plain {
    fn new(file: BufReader<File>) -> Self {
        Self {
            file,
            line: 0,
            broken: false,
        }
    }

    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let limited = &mut self.file;
        limited.take(LINE_BYTES_MAX as u64).read_until(b'\n', line)
    }
}
