//! After a stop of any kind: what the journal still holds becomes chunks, and what was left open is
//! closed. A torn last record is cut and counted; damage elsewhere is kept aside, never repaired, and
//! each hole is a `gap` in every stream that was open.
//!
//! One segment is in memory at a time: its size is the bound.

use super::chunk::{Chunker, Place};
use super::cursor::Tally;
use super::object::set_aside;
use super::segment::{HEADER_BYTES, Parsed, RECORD_BYTES_MIN, Record, claimed_seq, epoch, parse};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// To look for a record behind damage, at most this many bytes are read for each byte of a segment:
/// made-up lengths in what people typed must not cost hours.
const SEARCH_FACTOR: usize = 16;

/// What recovery found, for `node.recover`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) sessions: u64,
    pub(crate) torn_bytes: u64,
    pub(crate) quarantined: Vec<String>,
    /// Number for the next segment.
    pub(crate) next_segment: u64,
}

/// Feeds all segments to the chunker, closes what a crash left open, removes the segments.
pub(crate) fn recover(journal: &Path, chunker: &mut Chunker) -> io::Result<Recovered> {
    let segments = segments(journal)?;
    let mut reader = Reader {
        chunker,
        next: None,
        found: Recovered::default(),
        suspects: Vec::new(),
        damaged: Vec::new(),
    };
    reader.chunker.recovering();
    let unknown = reader.chunker.reopen()?;
    let firsts = first_numbers(&segments)?;
    for (at, (number, path)) in segments.iter().enumerate() {
        reader.found.next_segment = number + 1;
        let bytes = std::fs::read(path)?;
        let later = firsts.get(at + 1..).unwrap_or_default();
        let superseded = later.iter().flatten().min().copied().unwrap_or(u64::MAX);
        reader.read(*number, path, &bytes, superseded)?;
    }
    let Reader {
        mut found, damaged, ..
    } = reader;
    for session in unknown {
        chunker.adopt(session);
    }
    for session in chunker.open_sessions() {
        chunker.end_crashed(session)?;
        found.sessions += 1;
    }
    chunker.settle()?;
    let quarantine = journal.join("quarantine");
    for (_, path) in segments {
        if damaged.contains(&path) {
            found.quarantined.push(set_aside(&quarantine, &path)?);
        } else {
            std::fs::remove_file(path)?;
        }
    }
    File::open(journal)?.sync_all()?;
    chunker.forget_before(found.next_segment)?;
    found.quarantined.append(&mut chunker.put_aside);
    Ok(found)
}

/// Where a segment begins, in numbers: what an older one has from there on was written again.
fn first_numbers(segments: &[(u64, PathBuf)]) -> io::Result<Vec<Option<u64>>> {
    let first = |(_, path): &(u64, PathBuf)| {
        let mut start = vec![0; 2 * 1024 * 1024];
        let got = File::open(path)?.read_at(&mut start, 0)?;
        let start = start.get(..got).unwrap_or_default();
        Ok(match (epoch(start), records(start)) {
            (Some(epoch), Some(rest)) => match parse(rest, epoch) {
                Parsed::Record { seq, .. } => Some(seq),
                Parsed::End | Parsed::Short | Parsed::Bad => None,
            },
            _ => None,
        })
    };
    segments.iter().map(first).collect()
}

fn records(segment: &[u8]) -> Option<&[u8]> {
    segment.get(usize::try_from(HEADER_BYTES).ok()?..)
}

struct Reader<'a> {
    chunker: &'a mut Chunker,
    /// The number that the next record should have.
    next: Option<u64>,
    found: Recovered,
    /// Segments with bytes that are no record, while it is not known whether any is missing.
    suspects: Vec<PathBuf>,
    damaged: Vec<PathBuf>,
}

impl Reader<'_> {
    fn read(&mut self, number: u64, path: &Path, bytes: &[u8], superseded: u64) -> io::Result<()> {
        let Some(epoch) = epoch(bytes) else {
            // Without its header a segment never took a record, unless something is in it.
            if bytes.iter().any(|byte| *byte != 0) {
                self.damaged.push(path.to_owned());
            }
            return Ok(());
        };
        let mut rest = records(bytes).unwrap_or_default();
        loop {
            match parse(rest, epoch) {
                Parsed::Record { seq, .. } if seq >= superseded => return Ok(()),
                Parsed::Record {
                    seq,
                    record,
                    length,
                } => {
                    self.take(number, seq, &record)?;
                    rest = rest.get(length..).unwrap_or_default();
                }
                Parsed::End | Parsed::Short | Parsed::Bad => {
                    let last = rest.iter().rposition(|byte| *byte != 0);
                    let Some(last) = last else {
                        return Ok(());
                    };
                    let tail = rest.get(..=last).unwrap_or_default();
                    self.suspects.push(path.to_owned());
                    match find_record(rest, last + 1, epoch, self.next) {
                        Search::At(at) => rest = rest.get(at..).unwrap_or_default(),
                        Search::None => {
                            self.found.torn_bytes += tail.len() as u64;
                            return Ok(());
                        }
                        Search::GaveUp => {
                            self.damaged.push(path.to_owned());
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, segment: u64, seq: u64, record: &Record) -> io::Result<()> {
        let next = self.next.unwrap_or(seq);
        if seq < next {
            // Written again when a segment failed; the first copy was read.
            return Ok(());
        }
        let place = Place { segment, seq };
        if seq > next {
            let text = "the journal is damaged here: what it held is in journal/quarantine";
            self.chunker.hole(place, seq - next, 0, text);
            self.damaged.append(&mut self.suspects);
        }
        self.suspects.clear();
        self.next = Some(seq + 1);
        self.chunker.feed(place, record, 0)?;
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    At(usize),
    None,
    GaveUp,
}

/// The next record behind bytes that are none, in the first `written` bytes.
fn find_record(bytes: &[u8], written: usize, epoch: u64, next: Option<u64>) -> Search {
    let next = next.unwrap_or(0);
    let most = next.saturating_add((bytes.len() / RECORD_BYTES_MIN) as u64 + 1);
    let mut budget = bytes.len().saturating_mul(SEARCH_FACTOR);
    for at in 1..written {
        let later = bytes.get(at..).unwrap_or_default();
        // Its number tells nearly everything that is no record, at the price of eight bytes.
        if !claimed_seq(later).is_some_and(|seq| (next..=most).contains(&seq)) {
            continue;
        }
        let length = super::segment::u32_at(later, 0).unwrap_or(0) as usize;
        if length >= RECORD_BYTES_MIN - 4 && length <= later.len() {
            let Some(left) = budget.checked_sub(length) else {
                return Search::GaveUp;
            };
            budget = left;
            if matches!(parse(later, epoch), Parsed::Record { .. }) {
                return Search::At(at);
            }
        }
    }
    Search::None
}

fn segments(journal: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(journal)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".journal"))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

// ---- lines of the recorder's own -----------------------------------------------------------------

/// `who`, `where` and `why` are taken over as they stand; the recorder does not read them.
#[derive(Deserialize)]
struct Context<'a> {
    kind: &'a str,
    #[serde(borrow)]
    who: Option<&'a RawValue>,
    #[serde(borrow, rename = "where")]
    place: Option<&'a RawValue>,
    #[serde(borrow)]
    why: Option<&'a RawValue>,
}

fn context(start: Option<&[u8]>) -> Option<Context<'_>> {
    start.and_then(|start| serde_json::from_slice(start).ok())
}

fn with_context(mut text: String, context: Option<&Context<'_>>) -> Vec<u8> {
    if let Some(context) = context {
        let parts = [
            ("who", context.who),
            ("where", context.place),
            ("why", context.why),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                text.push_str(&format!(",\"{name}\":{part}"));
            }
        }
    }
    text.push('}');
    text.into_bytes()
}

/// `text` is ours and needs no escape.
pub(crate) fn gap_event(start: Option<&[u8]>, events: u64, bytes: u64, text: &str) -> Vec<u8> {
    let event = format!(
        "{{\"kind\":\"gap\",\"bytes\":{bytes},\"events\":{events},\"message\":\"{text}\",\
         \"outcome\":\"error\""
    );
    with_context(event, context(start).as_ref())
}

pub(crate) fn crashed_end(start: Option<&[u8]>, mt: u64, tally: &Tally) -> Vec<u8> {
    let context = context(start);
    let of_node = |context: &Context<'_>| context.kind == "node.start";
    if context.as_ref().is_some_and(of_node) {
        return br#"{"kind":"node.stop","outcome":"error"}"#.to_vec();
    }
    let event = format!(
        "{{\"kind\":\"session.end\",\"reason\":\"node_crash\",\"totals\":{{\"duration_ms\":{},\
         \"channels\":{},\"input_bytes\":{},\"output_bytes\":{}}},\"outcome\":\"error\"",
        mt / 1_000_000,
        tally.channels(),
        tally.input_bytes(),
        tally.output_bytes(),
    );
    with_context(event, context.as_ref())
}
