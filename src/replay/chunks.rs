//! The chunks of one recording, decompressed and cut into lines with bounded memory.

use super::open::{Damage, Piece, Problem};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The longest line that is read: a frame is at most 16 KiB, six bytes a byte when escaped; audit
/// events carry a certificate and a policy decision. The rest is slack.
pub(super) const LINE_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024; // 1 MiB and 64 KiB
/// Decompressed size at which a chunk is given up: 1 MiB is usual, this is a bomb.
const CHUNK_BYTES_MAX: u64 = 1024 * 1024 * 1024; // 1 GiB
/// Window of a zstd frame, as a power of two: level 3 uses 21. Bounds what a forged chunk can claim.
const WINDOW_LOG_MAX: u32 = 24; // 16 MiB
type Decoder = BufReader<zstd::Decoder<'static, BufReader<File>>>;

/// See [`super::Archive::lines`]. Blocking: run it through [`super::feed`].
pub struct Lines {
    chunks: std::vec::IntoIter<(u32, PathBuf)>,
    /// A chunk that was reached while one before it is missing.
    waiting: Option<(u32, PathBuf)>,
    expected: u32,
    open: Option<Open>,
    /// Whoever asks knows that the session has ended: its last line is its end.
    must_end: bool,
    ended: bool,
}

/// In the envelope of a session's last line, which is written before anything foreign.
const END: &[u8] = br#""kind":"session.end""#;
const ENVELOPE_BYTES_MAX: usize = 256;

struct Open {
    chunk: u32,
    from: Decoder,
    line: u64,
    bytes: u64,
}

impl Lines {
    /// `first` is the number that the first of them must have.
    pub(super) fn new(chunks: Vec<(u32, PathBuf)>, first: u32) -> Self {
        Self {
            chunks: chunks.into_iter(),
            waiting: None,
            expected: first,
            open: None,
            must_end: false,
            ended: false,
        }
    }

    /// Where the session is known to have ended, a recording without its end is told as damaged.
    #[must_use]
    pub fn of_ended(mut self, has_ended: bool) -> Self {
        self.must_end = has_ended;
        self
    }

    /// The chunk that the last line came from.
    pub(super) fn chunk(&self) -> u32 {
        self.expected.saturating_sub(1)
    }
}

impl Iterator for Lines {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(open) = &mut self.open {
                match open.next_line() {
                    Read::Line(line) => {
                        let envelope = line.get(..ENVELOPE_BYTES_MAX).unwrap_or(&line);
                        self.ended = envelope.windows(END.len()).any(|part| part == END);
                        return Some(Piece::Line(line));
                    }
                    Read::End => self.open = None,
                    Read::Skipped(problem) => return Some(damage(open.chunk, problem)),
                    Read::Broken(problem) => {
                        let piece = damage(open.chunk, problem);
                        self.open = None;
                        return Some(piece);
                    }
                }
            } else {
                let Some((number, path)) = self.waiting.take().or_else(|| self.chunks.next())
                else {
                    let cut = std::mem::take(&mut self.must_end) && !self.ended;
                    return cut.then(|| damage(self.expected, Problem::Cut));
                };
                if number > self.expected {
                    let piece = damage(self.expected, Problem::Missing);
                    self.expected = self.expected.saturating_add(1);
                    self.waiting = Some((number, path));
                    return Some(piece);
                }
                self.expected = number.saturating_add(1);
                if path.extension().is_some_and(|extension| extension == "age") {
                    return Some(damage(number, Problem::Encrypted));
                }
                match decoder(&path) {
                    Ok(from) => {
                        self.open = Some(Open {
                            chunk: number,
                            from,
                            line: 0,
                            bytes: 0,
                        });
                    }
                    Err(error) => {
                        let message = error.to_string();
                        return Some(damage(number, Problem::Unreadable { after: 0, message }));
                    }
                }
            }
        }
    }
}

enum Read {
    Line(Vec<u8>),
    End,
    Skipped(Problem),
    Broken(Problem),
}

impl Open {
    fn next_line(&mut self) -> Read {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let available = match self.from.fill_buf() {
                Ok(available) => available,
                Err(error) => {
                    return Read::Broken(Problem::Unreadable {
                        after: self.line,
                        message: error.to_string(),
                    });
                }
            };
            if available.is_empty() {
                return match line.is_empty() && !too_long {
                    true => Read::End,
                    false => Read::Broken(Problem::Torn {
                        line: self.line + 1,
                    }),
                };
            }
            let (part, ended, used) = match available.iter().position(|&byte| byte == b'\n') {
                Some(at) => (available.get(..at).unwrap_or_default(), true, at + 1),
                None => (available, false, available.len()),
            };
            if line.len() + part.len() > LINE_BYTES_MAX {
                too_long = true;
                line = Vec::new();
            } else if !too_long {
                line.extend_from_slice(part);
            }
            self.from.consume(used);
            self.bytes = self.bytes.saturating_add(used as u64);
            if self.bytes > CHUNK_BYTES_MAX {
                return Read::Broken(Problem::Unreadable {
                    after: self.line,
                    message: format!("it is longer than {CHUNK_BYTES_MAX} bytes"),
                });
            }
            if ended {
                self.line += 1;
                return match too_long {
                    true => Read::Skipped(Problem::TooLong { line: self.line }),
                    false => Read::Line(line),
                };
            }
        }
    }
}

fn damage(chunk: u32, problem: Problem) -> Piece {
    Piece::Damage(Damage { chunk, problem })
}

fn decoder(path: &Path) -> io::Result<Decoder> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(BufReader::new(decoder))
}

/// `000012.jsonl.zst` or `000012.jsonl.zst.age`.
pub(super) fn chunk_number(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".age").unwrap_or(name);
    let digits = stem.strip_suffix(".jsonl.zst")?;
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}
