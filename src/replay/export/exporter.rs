//! Recordings in, the bytes of one file or of several out.

use super::Format;
use super::cast::{Cast, Version};
use super::page::Page;
use super::stream::{Of, Stream};
use super::table::Table;
use crate::event::{Audit, escape_json};
use crate::replay::checked::Raw;
use crate::replay::line::{Line, What};
use crate::replay::open::{Archive, Damage, Step};
use crate::sink::{self, Told};
use ring::digest::{Context, SHA256};

/// The format cannot say what is there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// What one file becomes of.
pub(super) trait Writer {
    fn line(&mut self, line: &Line) -> Result<Vec<u8>, String>;

    /// A hole, where the format has a way to say so; the person is told in any case.
    fn damage(&mut self, _damage: &Damage) -> Vec<u8> {
        Vec::new()
    }

    /// After the last line of the last session.
    fn finish(&mut self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    /// What the format could not carry, as a sentence.
    fn left_out(&self) -> Option<String> {
        None
    }
}

/// What is wanted of which recordings.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// In the order of the output.
    pub streams: Vec<Stream>,
    pub format: Format,
    /// The terminal of an asciicast, else the first of the session.
    pub channel: Option<u32>,
    /// Several files, each announced by a [`Part::File`]; else everything is one.
    pub files: bool,
}

/// What comes out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bytes that follow are those of this file.
    File(String),
    Bytes(Vec<u8>),
    /// To be said beside the file: damage, and what the format cannot carry.
    Remark(String),
    /// So many recordings are through.
    Done(u64),
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sessions: u64,
    /// Recorded lines that put something into what was written: of a table its rows.
    pub events: u64,
    pub bytes: u64,
    /// Holes that were met.
    pub damaged: u64,
    /// Recordings that could not be read at all, or from some place on.
    pub skipped: u64,
    /// Recordings of a newer version that went out as they are.
    pub unchecked: u64,
    /// Sessions without what the format shows: a terminal.
    pub without: u64,
    /// SHA-256, hexadecimal: of the bytes, or of the lines `HASH  NAME` that list the files.
    pub sha256: String,
}

/// Writes recordings one after the other; the same recordings give the same bytes. One that is
/// damaged, missing or of a newer version costs itself and a remark, not the others. Blocks on disk,
/// and on `take`, which returns false when nobody wants the rest.
///
/// # Errors
/// When the format cannot say what is there.
pub fn export(
    archive: &Archive,
    wanted: &Wanted,
    take: impl FnMut(Part) -> bool,
) -> Result<Tally, Error> {
    let mut out = Out {
        take,
        tally: Tally::default(),
        hash: Context::new(&SHA256),
        file: None,
        next: None,
        wanted: true,
        files: wanted.files,
    };
    let each = wanted.files && wanted.format.has_a_file_each();
    let mut writer = writer(wanted.format, wanted.channel);
    if wanted.files && !each {
        out.next = Some(format!("events.{}", wanted.format.extension()));
    }
    for (stream, done) in wanted.streams.iter().zip(1..) {
        if each {
            out.close_file();
            out.next = Some(stream.file_name(wanted.format));
        }
        match &mut writer {
            None => out.copy(archive, stream),
            Some(writer) => out.write(archive, stream, writer.as_mut())?,
        }
        if each && let Some(ended) = &mut writer {
            out.end_of_one(stream, ended.as_mut());
            writer = self::writer(wanted.format, wanted.channel);
        }
        out.wanted = out.wanted && (out.take)(Part::Done(done));
        if !out.wanted {
            break;
        }
    }
    if !each && let Some(writer) = &mut writer {
        out.bytes(writer.finish().map_err(Error)?);
        if let Some(left_out) = writer.left_out() {
            out.remark(left_out);
        }
    }
    out.close_file();
    Ok(out.done())
}

/// JSONL has none: its bytes are the recorded ones.
fn writer(format: Format, channel: Option<u32>) -> Option<Box<dyn Writer>> {
    Some(match format {
        Format::Jsonl => return None,
        Format::Csv => Box::new(Table::default()),
        Format::AsciicastV2 => Box::new(Cast::new(Version::V2, channel)),
        Format::AsciicastV3 => Box::new(Cast::new(Version::V3, channel)),
        Format::Html => Box::new(Page::default()),
        Format::Ocsf => Box::new(Mapped(sink::ocsf)),
        Format::Ecs => Box::new(Mapped(sink::ecs)),
    })
}

struct Out<T> {
    take: T,
    tally: Tally,
    hash: Context,
    /// The file that is written, and the hash of what it has so far.
    file: Option<(String, Context)>,
    /// The file that begins with the next byte: one without any is not made.
    next: Option<String>,
    wanted: bool,
    files: bool,
}

impl<T: FnMut(Part) -> bool> Out<T> {
    fn copy(&mut self, archive: &Archive, stream: &Stream) {
        let lines = match archive.checked(stream.id) {
            Ok(lines) => lines.of_ended(stream.has_ended()),
            Err(error) => return self.skip(stream, &error.to_string()),
        };
        for raw in lines {
            match raw {
                Raw::Line(line) if !stream.has_line(&line) => {}
                Raw::Line(mut line) => {
                    self.tally.events += 1;
                    line.push(b'\n');
                    self.bytes(line);
                }
                Raw::Damage(text) => self.damage(stream, &text),
                Raw::Newer(text) => {
                    self.tally.unchecked += 1;
                    self.remark(format!("recording {}: {text}", stream.id));
                }
            }
            if !self.wanted {
                break;
            }
        }
        self.count(stream);
    }

    fn write(
        &mut self,
        archive: &Archive,
        stream: &Stream,
        writer: &mut dyn Writer,
    ) -> Result<(), Error> {
        let events = match archive.whole(stream.id) {
            Ok(events) => events.of_ended(stream.has_ended()),
            Err(error) => {
                self.skip(stream, &error.to_string());
                return Ok(());
            }
        };
        for step in events {
            match step {
                Ok(Step::Line(line)) if !stream.has(line.ts) => {}
                Ok(Step::Line(line)) => {
                    let bytes = writer.line(&line).map_err(Error)?;
                    self.tally.events += u64::from(!bytes.is_empty());
                    self.bytes(bytes);
                }
                Ok(Step::Damage(damage)) => {
                    self.bytes(writer.damage(&damage));
                    self.damage(stream, &damage.to_string());
                }
                Err(error) => {
                    self.skip(stream, &error.to_string());
                    return Ok(());
                }
            }
            if !self.wanted {
                break;
            }
        }
        self.count(stream);
        Ok(())
    }

    /// The end of a file of its own. Of many sessions some have no terminal: that is counted.
    fn end_of_one(&mut self, stream: &Stream, writer: &mut dyn Writer) {
        match writer.finish() {
            Ok(bytes) => self.bytes(bytes),
            Err(_) => self.tally.without += 1,
        }
        if let Some(left_out) = writer.left_out() {
            self.remark(format!("session {}: {left_out}", stream.id));
        }
    }

    fn count(&mut self, stream: &Stream) {
        self.tally.sessions += u64::from(matches!(stream.of, Of::Session { .. }));
    }

    fn skip(&mut self, stream: &Stream, why: &str) {
        self.tally.skipped += 1;
        self.remark(format!("recording {} is skipped: {why}", stream.id));
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        if let Some(name) = self.next.take() {
            self.wanted &= (self.take)(Part::File(name.clone()));
            self.file = Some((name, Context::new(&SHA256)));
        }
        match &mut self.file {
            Some((_, hash)) => hash.update(&bytes),
            None => self.hash.update(&bytes),
        }
        self.tally.bytes = self.tally.bytes.saturating_add(bytes.len() as u64);
        self.wanted &= (self.take)(Part::Bytes(bytes));
    }

    /// Its line of the list of files goes into the hash of all.
    fn close_file(&mut self) {
        if let Some((name, hash)) = self.file.take() {
            let line = format!("{}  {name}\n", hexadecimal(hash));
            self.hash.update(line.as_bytes());
        }
    }

    fn damage(&mut self, stream: &Stream, damage: &str) {
        self.tally.damaged += 1;
        self.remark(format!("damaged recording {}, {damage}", stream.id));
    }

    fn remark(&mut self, text: String) {
        self.wanted &= (self.take)(Part::Remark(text));
    }

    fn done(mut self) -> Tally {
        if self.files && self.tally.without > 0 {
            let without = self.tally.without;
            self.remark(format!(
                "{without} sessions have no terminal and no file: `--format jsonl` has everything"
            ));
        }
        self.tally.sha256 = hexadecimal(self.hash);
        self.tally
    }
}

/// SHA-256 as `sha256sum` writes it.
pub(crate) fn hexadecimal(hash: Context) -> String {
    hex::encode(hash.finish())
}

/// One audit event a line, in the words of another schema.
struct Mapped(fn(&Told<'_>) -> serde_json::Value);

impl Writer for Mapped {
    fn line(&mut self, line: &Line) -> Result<Vec<u8>, String> {
        let What::Audit(audit) = &line.what else {
            return Ok(Vec::new());
        };
        let text = (self.0)(&told(line, audit)).to_string();
        Ok((escape_json(&text) + "\n").into_bytes())
    }
}

pub(super) fn told<'a>(line: &'a Line, audit: &'a Audit) -> Told<'a> {
    Told::new(
        (line.sid, line.seq, line.ts),
        &line.kind,
        line.channel,
        audit,
    )
    .derived(line.derived)
}
