//! asciicast (docs.asciinema.org): one terminal of one session, for the players.

use super::exporter::Writer;
use crate::event::Kind;
use crate::replay::line::{Line, What};
use crate::replay::screen::bounded;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
}

/// Times are written in microseconds: finer than any player shows.
pub(super) struct Cast {
    version: Version,
    wanted: Option<u32>,
    /// The channel that is written, once its terminal was asked for.
    channel: Option<u32>,
    title: String,
    began: Duration,
    last_us: u128,
    lost_bytes: u64,
    other_terminals: u64,
    /// Sizes that no player draws, and statuses that none takes.
    changed_sizes: u64,
    lost_statuses: u64,
}

/// asciinema 3 reads a signed number of 32 bits.
const STATUS_MAX: u32 = i32::MAX.unsigned_abs();

impl Cast {
    pub(super) fn new(version: Version, wanted: Option<u32>) -> Self {
        Self {
            version,
            wanted,
            channel: None,
            title: String::new(),
            began: Duration::ZERO,
            last_us: 0,
            lost_bytes: 0,
            other_terminals: 0,
            changed_sizes: 0,
            lost_statuses: 0,
        }
    }

    /// Players refuse what is not within 16 bits, and fall over 0 and over grids that fill their
    /// memory: it is drawn as a replay draws it.
    fn size(&mut self, cols: u32, rows: u32) -> (usize, usize) {
        let (width, height) = bounded(cols, rows);
        let is_same = usize::try_from(cols) == Ok(width) && usize::try_from(rows) == Ok(height);
        self.changed_sizes += u64::from(!is_same);
        (width, height)
    }

    fn head(&mut self, line: &Line, term: &str, cols: u32, rows: u32) -> Vec<u8> {
        self.channel = line.channel;
        self.began = line.mt;
        let (cols, rows) = self.size(cols, rows);
        let mut head = json!({"timestamp": line.ts.timestamp().max(0), "title": self.title});
        let (version, size) = match self.version {
            Version::V2 => (
                2,
                json!({"width": cols, "height": rows, "env": {"TERM": term}}),
            ),
            Version::V3 => (
                3,
                json!({"term": {"cols": cols, "rows": rows, "type": term}}),
            ),
        };
        if let (Some(head), Value::Object(size)) = (head.as_object_mut(), size) {
            head.insert("version".to_owned(), json!(version));
            head.extend(size);
        }
        format!("{head}\n").into_bytes()
    }

    fn event(&mut self, line: &Line, code: &str, data: &str) -> Vec<u8> {
        let now = line.mt.saturating_sub(self.began).as_micros();
        let from = match self.version {
            Version::V2 => 0,
            // Since the event before: differences of rounded times, so that nothing adds up.
            Version::V3 => self.last_us,
        };
        self.last_us = now;
        let time = now.saturating_sub(from);
        let (seconds, rest) = (time / 1_000_000, time % 1_000_000);
        let code = Value::from(code);
        let data = Value::from(data);
        format!("[{seconds}.{rest:06}, {code}, {data}]\n").into_bytes()
    }
}

impl Writer for Cast {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a terminal shows what was on it; the other kinds are in the other formats"
    )]
    fn line(&mut self, line: &Line) -> Result<Vec<u8>, String> {
        if let What::Audit(audit) = &line.what {
            let place = audit.place.as_deref();
            match &audit.kind {
                Kind::SessionStart(_) => {
                    let who = audit.who.as_ref().and_then(|who| who.subject.as_ref());
                    let who = who.map_or_else(|| "?".to_owned(), ToString::to_string);
                    let login = place.and_then(|place| place.login.as_ref());
                    let login = login.map_or_else(|| "?".to_owned(), ToString::to_string);
                    let target = place.and_then(|place| place.target.as_ref());
                    let target = target.map_or_else(|| "?".to_owned(), ToString::to_string);
                    self.title = format!("{who} as {login}@{target}, session {}", line.sid);
                }
                Kind::Pty(pty) => {
                    let wanted = self
                        .wanted
                        .is_none_or(|wanted| line.channel == Some(wanted));
                    if self.channel.is_none() && wanted {
                        return Ok(self.head(line, &pty.term, pty.cols, pty.rows));
                    }
                    self.other_terminals += 1;
                }
                Kind::ChannelClose(detail)
                    if self.version == Version::V3
                        && self.channel.is_some()
                        && line.channel == self.channel =>
                {
                    if let Some(status) = detail.exit_status {
                        if status > STATUS_MAX {
                            self.lost_statuses += 1;
                            return Ok(Vec::new());
                        }
                        return Ok(self.event(line, "x", &status.to_string()));
                    }
                }
                _ => {}
            }
            return Ok(Vec::new());
        }
        if self.channel.is_none() || line.channel != self.channel {
            return Ok(Vec::new());
        }
        Ok(match &line.what {
            What::Output { text, lost, .. } => {
                self.lost_bytes = self.lost_bytes.saturating_add(*lost);
                self.event(line, "o", text)
            }
            What::Notice { text } => self.event(line, "o", text),
            What::Resize { cols, rows } => {
                let (cols, rows) = self.size(*cols, *rows);
                self.event(line, "r", &format!("{cols}x{rows}"))
            }
            _ => Vec::new(),
        })
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        match (self.channel, self.wanted) {
            (Some(_), _) => Ok(Vec::new()),
            (None, Some(channel)) => Err(format!("channel {channel} has no terminal to play")),
            (None, None) => Err("the session has no terminal to play: `--format jsonl` has \
                                 everything"
                .to_owned()),
        }
    }

    fn left_out(&self) -> Option<String> {
        let mut said = Vec::new();
        if self.lost_bytes > 0 {
            let bytes = self.lost_bytes;
            said.push(format!(
                "{bytes} bytes are no UTF-8 and stand as U+FFFD (an asciicast is text)"
            ));
        }
        if self.other_terminals > 0 {
            let others = self.other_terminals;
            said.push(format!(
                "{others} more terminals of this session are not in it: `--channel N` chooses one"
            ));
        }
        if self.changed_sizes > 0 {
            let changed = self.changed_sizes;
            said.push(format!(
                "{changed} sizes of the terminal are none that a player draws: in their place stands 80x24, or the largest"
            ));
        }
        if self.lost_statuses > 0 {
            said.push("the exit status is larger than an asciicast has".to_owned());
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}
