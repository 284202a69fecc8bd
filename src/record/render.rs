//! A session's records become its canonical JSON lines, once. Pure and deterministic: coalescing,
//! UTF-8 tails and numbers follow from the records and their times alone, so that two renderings are
//! equal to the byte (docs/recording-format.md §4).

use super::segment::{Record, Tag, u32_at, u64_at};
use crate::event::escape_json;
use crate::id::SessionId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use std::collections::BTreeMap;

/// Output is joined up to this many bytes or this much recorded time.
const JOIN_BYTES: usize = 16 * 1024;
const JOIN_NS: u64 = 20_000_000; // 20 ms
/// An incomplete UTF-8 tail waits this long for its rest.
const TAIL_NS: u64 = 250_000_000; // 250 ms

/// A rendered line, with its newline; `audit` lines also go to the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) audit: bool,
}

type Stream = (Option<u32>, Tag8);

/// The byte streams of a channel, ordered for the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag8 {
    Input,
    Output,
    Stderr,
    Notice,
}

struct Pending {
    stream: Stream,
    mt: u64,
    bytes: Vec<u8>,
}

pub(crate) struct Renderer {
    session: SessionId,
    wall_ns: u64,
    seq: u64,
    /// The largest time of a record, and of a line: lines do not go back in time, whichever of two
    /// directions came first into the journal.
    last_mt: u64,
    line_mt: u64,
    pending: Option<Pending>,
    tails: BTreeMap<Stream, (u64, Vec<u8>)>,
}

impl Renderer {
    /// `seq` is the number of the next line and `last_mt` the time so far: 0, or where the last chunk
    /// ended.
    pub(crate) fn new(session: SessionId, wall_ns: u64, seq: u64, last_mt: u64) -> Self {
        Self {
            session,
            wall_ns,
            seq,
            last_mt,
            line_mt: last_mt,
            pending: None,
            tails: BTreeMap::new(),
        }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn last_mt(&self) -> u64 {
        self.last_mt
    }

    pub(crate) fn feed(&mut self, record: &Record, lines: &mut Vec<Line>) {
        self.last_mt = self.last_mt.max(record.mt);
        self.flush_old_tails(record.mt, lines);
        let stream = |tag| (record.channel, tag);
        match record.tag {
            Tag::Output => self.join(stream(Tag8::Output), record, lines),
            Tag::Stderr => self.join(stream(Tag8::Stderr), record, lines),
            Tag::Input => {
                self.flush_pending(lines);
                self.frame(stream(Tag8::Input), record.mt, &record.payload, lines);
            }
            Tag::Notice => {
                self.flush_pending(lines);
                self.frame(stream(Tag8::Notice), record.mt, &record.payload, lines);
            }
            Tag::Withheld => {
                self.flush_pending(lines);
                let n = u32_at(&record.payload, 0).unwrap_or(0);
                let rest = format!("\"withheld\":true,\"n\":{n}");
                self.line("input", record.channel, record.mt, &rest, lines);
            }
            Tag::Resize => {
                self.flush_pending(lines);
                let cols = u32_at(&record.payload, 0).unwrap_or(0);
                let rows = u32_at(&record.payload, 4).unwrap_or(0);
                let rest = format!("\"cols\":{cols},\"rows\":{rows}");
                self.line("resize", record.channel, record.mt, &rest, lines);
            }
            Tag::Progress => {
                self.flush_pending(lines);
                self.progress(record, lines);
            }
            Tag::Audit => {
                self.flush_pending(lines);
                self.audit(record, lines);
            }
            Tag::Commit => {
                self.flush_pending(lines);
                let through = u64_at(&record.payload, 0).unwrap_or(0);
                let rest = format!("\"through\":{through}");
                self.line("commit", None, record.mt, &rest, lines);
            }
            Tag::Close | Tag::Cut => self.flush(lines),
            Tag::Open => {}
        }
    }

    /// Everything that waits: at a cut and at the end.
    pub(crate) fn flush(&mut self, lines: &mut Vec<Line>) {
        self.flush_pending(lines);
        for (stream, (mt, tail)) in std::mem::take(&mut self.tails) {
            self.base64_frame(stream, mt, &tail, lines);
        }
        self.line_mt = self.last_mt;
    }

    fn flush_old_tails(&mut self, now: u64, lines: &mut Vec<Line>) {
        let old: Vec<Stream> = self
            .tails
            .iter()
            .filter(|(_, (mt, _))| now.saturating_sub(*mt) > TAIL_NS)
            .map(|(stream, _)| *stream)
            .collect();
        if !old.is_empty() {
            self.flush_pending(lines);
        }
        for stream in old {
            if let Some((mt, tail)) = self.tails.remove(&stream) {
                self.base64_frame(stream, mt, &tail, lines);
            }
        }
    }

    fn join(&mut self, stream: Stream, record: &Record, lines: &mut Vec<Line>) {
        let fits = self.pending.as_ref().is_some_and(|pending| {
            pending.stream == stream
                && record.mt.saturating_sub(pending.mt) <= JOIN_NS
                && pending.bytes.len() + record.payload.len() <= JOIN_BYTES
        });
        if !fits {
            self.flush_pending(lines);
        }
        match &mut self.pending {
            Some(pending) => pending.bytes.extend_from_slice(&record.payload),
            None => {
                self.pending = Some(Pending {
                    stream,
                    mt: record.mt,
                    bytes: record.payload.clone(),
                });
            }
        }
    }

    fn flush_pending(&mut self, lines: &mut Vec<Line>) {
        if let Some(pending) = self.pending.take() {
            for piece in pending.bytes.chunks(JOIN_BYTES) {
                self.frame(pending.stream, pending.mt, piece, lines);
            }
        }
    }

    /// Bytes as text where they are UTF-8; a cut character waits for its rest.
    fn frame(&mut self, stream: Stream, mt: u64, bytes: &[u8], lines: &mut Vec<Line>) {
        let mut whole = match self.tails.remove(&stream) {
            Some((_, tail)) => tail,
            None => Vec::new(),
        };
        whole.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&whole) {
            Ok(_) => whole.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return self.base64_frame(stream, mt, &whole, lines),
        };
        let tail = whole.split_off(valid);
        if !tail.is_empty() {
            self.tails.insert(stream, (mt, tail));
        }
        if let Ok(text) = std::str::from_utf8(&whole)
            && !text.is_empty()
        {
            let rest = format!(
                "{}\"data\":{},\"n\":{}",
                fd(stream),
                quoted(text),
                text.len()
            );
            self.line(name(stream), stream.0, mt, &rest, lines);
        }
    }

    fn base64_frame(&mut self, stream: Stream, mt: u64, bytes: &[u8], lines: &mut Vec<Line>) {
        let rest = format!(
            "{}\"base64\":\"{}\",\"n\":{}",
            fd(stream),
            STANDARD.encode(bytes),
            bytes.len()
        );
        self.line(name(stream), stream.0, mt, &rest, lines);
    }

    fn progress(&mut self, record: &Record, lines: &mut Vec<Line>) {
        let direction = match record.payload.first() {
            Some(0) => "input",
            Some(1) => "output",
            _ => "stderr",
        };
        let bytes = u64_at(&record.payload, 1).unwrap_or(0);
        let sha256 = hex::encode(record.payload.get(9..).unwrap_or_default());
        let rest =
            format!("\"direction\":\"{direction}\",\"bytes\":{bytes},\"sha256\":\"{sha256}\"");
        self.line("stream.progress", record.channel, record.mt, &rest, lines);
    }

    /// The payload is a JSON object that begins with its kind; the envelope goes before the rest.
    fn audit(&mut self, record: &Record, lines: &mut Vec<Line>) {
        let text = String::from_utf8_lossy(&record.payload);
        let split = text
            .strip_prefix("{\"kind\":\"")
            .and_then(|rest| rest.split_once('"'))
            .and_then(|(kind, rest)| Some((kind, rest.strip_suffix('}')?)));
        let (kind, rest) = split.unwrap_or(("error", ""));
        let rest = escape_json(rest.strip_prefix(',').unwrap_or(rest));
        self.line(kind, record.channel, record.mt, &rest, lines);
        if let Some(line) = lines.last_mut() {
            line.audit = true;
        }
    }

    fn line(
        &mut self,
        kind: &str,
        channel: Option<u32>,
        mt: u64,
        rest: &str,
        lines: &mut Vec<Line>,
    ) {
        let mt = mt.max(self.line_mt);
        self.line_mt = mt;
        let channel = channel.map_or_else(String::new, |n| format!(",\"channel\":{n}"));
        let comma = if rest.is_empty() { "" } else { "," };
        let text = format!(
            "{{\"v\":{},\"sid\":\"{}\",\"seq\":{},\"ts\":\"{}\",\"mt\":{mt},\"kind\":\"{kind}\"{channel}{comma}{rest}}}\n",
            crate::event::VERSION,
            self.session,
            self.seq,
            time(self.wall_ns.saturating_add(mt)),
        );
        self.seq += 1;
        lines.push(Line { text, audit: false });
    }
}

fn name(stream: Stream) -> &'static str {
    match stream.1 {
        Tag8::Input => "input",
        Tag8::Output | Tag8::Stderr => "output",
        Tag8::Notice => "notice",
    }
}

fn fd(stream: Stream) -> &'static str {
    match stream.1 {
        Tag8::Output => "\"fd\":1,",
        Tag8::Stderr => "\"fd\":2,",
        Tag8::Input | Tag8::Notice => "",
    }
}

/// RFC 3339, UTC, nanoseconds.
fn time(unix_ns: u64) -> String {
    let time = DateTime::from_timestamp_nanos(i64::try_from(unix_ns).unwrap_or(i64::MAX));
    time.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

fn quoted(text: &str) -> String {
    escape_json(&serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn record(tag: Tag, mt: u64, payload: &[u8]) -> Record {
        Record {
            session: SessionId(uuid::Uuid::from_u128(1)),
            channel: Some(0),
            mt,
            tag,
            payload: payload.to_vec(),
        }
    }

    fn render(records: &[Record]) -> Vec<String> {
        let mut renderer = Renderer::new(
            SessionId(uuid::Uuid::from_u128(1)),
            1_700_000_000_000_000_000,
            0,
            0,
        );
        let mut lines = Vec::new();
        for record in records {
            renderer.feed(record, &mut lines);
        }
        renderer.flush(&mut lines);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_golden() {
        let lines = render(&[
            record(Tag::Audit, 0, br#"{"kind":"shell","outcome":"success"}"#),
            record(Tag::Output, 1_000_000, b"hel"),
            record(Tag::Output, 2_000_000, b"lo\x1b[0m"),
            record(Tag::Withheld, 3_000_000, &7u32.to_le_bytes()),
            record(Tag::Stderr, 4_000_000, b"\xff"),
            record(Tag::Resize, 5_000_000, &[80, 0, 0, 0, 24, 0, 0, 0]),
        ]);
        let head = r#"{"v":1,"sid":"00000000-0000-0000-0000-000000000001","seq":"#;
        assert_eq!(
            lines,
            [
                format!(
                    "{head}0,\"ts\":\"2023-11-14T22:13:20.000000000Z\",\"mt\":0,\"kind\":\"shell\",\"channel\":0,\"outcome\":\"success\"}}\n"
                ),
                format!(
                    "{head}1,\"ts\":\"2023-11-14T22:13:20.001000000Z\",\"mt\":1000000,\"kind\":\"output\",\"channel\":0,\"fd\":1,\"data\":\"hello\\u001b[0m\",\"n\":9}}\n"
                ),
                format!(
                    "{head}2,\"ts\":\"2023-11-14T22:13:20.003000000Z\",\"mt\":3000000,\"kind\":\"input\",\"channel\":0,\"withheld\":true,\"n\":7}}\n"
                ),
                format!(
                    "{head}3,\"ts\":\"2023-11-14T22:13:20.004000000Z\",\"mt\":4000000,\"kind\":\"output\",\"channel\":0,\"fd\":2,\"base64\":\"/w==\",\"n\":1}}\n"
                ),
                format!(
                    "{head}4,\"ts\":\"2023-11-14T22:13:20.005000000Z\",\"mt\":5000000,\"kind\":\"resize\",\"channel\":0,\"cols\":80,\"rows\":24}}\n"
                ),
            ]
        );
    }

    #[test]
    fn a_line_is_safe_on_a_terminal() {
        let lines = render(&[record(Tag::Output, 0, "a\u{9b}b\u{202e}c\u{7f}".as_bytes())]);
        assert!(lines[0].contains(r"a\u009bb\u202ec\u007f"), "{}", lines[0]);
        assert!(lines[0].trim_end().chars().all(|c| !c.is_control()));
    }

    proptest! {
        /// Whatever the bytes and however they are cut and timed: the frames give them back.
        #[test]
        fn frames_concatenate_to_the_bytes(pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 0u64..400_000_000), 0..30), text: String) {
            let mut mt = 0;
            let mut bytes = Vec::new();
            let mut records = Vec::new();
            let cuts = text.as_bytes().chunks(3).map(|chunk| (chunk.to_vec(), 5_000_000));
            for (piece, wait) in pieces.into_iter().chain(cuts) {
                mt += wait;
                bytes.extend_from_slice(&piece);
                records.push(record(Tag::Output, mt, &piece));
            }
            let lines = render(&records);
            prop_assert_eq!(&lines, &render(&records));
            let mut got = Vec::new();
            for (number, line) in lines.iter().enumerate() {
                let value: Value = serde_json::from_str(line).unwrap();
                prop_assert_eq!(value["seq"].as_u64(), Some(number as u64));
                match value["data"].as_str() {
                    Some(text) => got.extend_from_slice(text.as_bytes()),
                    None => got.extend(STANDARD.decode(value["base64"].as_str().unwrap()).unwrap()),
                }
            }
            prop_assert_eq!(got, bytes);
        }
    }
}
