//! CSV (RFC 4180): a row for each audit event, safe to open in a spreadsheet.

use super::exporter::{Writer, told};
use crate::event::Shown;
use crate::replay::line::{Line, What};
use chrono::SecondsFormat;

const HEAD: [&str; 19] = [
    "time",
    "session",
    "seq",
    "channel",
    "kind",
    "outcome",
    "identity",
    "groups",
    "key_id",
    "serial",
    "source_ip",
    "node",
    "target",
    "address",
    "login",
    "reason",
    "ticket",
    "reason_source",
    "detail",
];

#[derive(Default)]
pub(super) struct Table {
    begun: bool,
}

impl Writer for Table {
    fn line(&mut self, line: &Line) -> Result<Vec<u8>, String> {
        let What::Audit(audit) = &line.what else {
            return Ok(Vec::new());
        };
        let who = audit.who.as_deref();
        let certificate = who.and_then(|who| who.certificate.as_ref());
        let place = audit.place.as_deref();
        let why = audit.why.as_deref();
        let word = |text: Option<String>| text.unwrap_or_default();
        let row = [
            line.ts.to_rfc3339_opts(SecondsFormat::Nanos, true),
            line.sid.to_string(),
            line.seq.0.to_string(),
            word(line.channel.map(|channel| channel.to_string())),
            line.kind.clone(),
            name_of(&audit.outcome),
            word(who.and_then(|who| Some(who.subject.as_ref()?.to_string()))),
            word(who.map(|who| who.groups.join(" "))),
            word(certificate.map(|certificate| certificate.key_id.clone())),
            word(certificate.map(|certificate| certificate.serial.to_string())),
            word(who.and_then(|who| Some(who.source?.ip.to_string()))),
            word(place.map(|place| place.node.clone())),
            word(place.and_then(|place| Some(place.target.as_ref()?.to_string()))),
            word(place.and_then(|place| place.address.clone())),
            word(place.and_then(|place| Some(place.login.as_ref()?.to_string()))),
            word(why.and_then(|why| why.justification.clone())),
            word(why.and_then(|why| Some(why.ticket.as_ref()?.to_string()))),
            word(why.and_then(|why| Some(name_of(&why.source?)))),
            told(line, audit).detail(),
        ];
        let mut rows = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            rows.push(HEAD.map(str::to_owned));
        }
        rows.push(row.map(harmless));
        written(&rows)
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(Vec::new());
        }
        written(&[HEAD.map(str::to_owned)])
    }
}

fn written(rows: &[[String; 19]]) -> Result<Vec<u8>, String> {
    let rows = rows.iter().map(csv_row);
    Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
}

/// A row as RFC 4180 writes it.
pub(crate) fn csv_row<T: AsRef<[u8]>, const N: usize>(row: &[T; N]) -> Result<Vec<u8>, String> {
    let mut to = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    to.write_record(row).map_err(|error| error.to_string())?;
    to.into_inner().map_err(|error| error.to_string())
}

/// As the recording spells it.
fn name_of<T: serde::Serialize>(word: &T) -> String {
    let name = serde_json::to_value(word).ok();
    let name = name.as_ref().and_then(serde_json::Value::as_str);
    name.unwrap_or_default().to_owned()
}

/// Nothing in it is obeyed by a terminal, and a cell that a spreadsheet would take for a formula gets an apostrophe before it, which it shows
/// as text (OWASP "CSV Injection").
pub(crate) fn harmless(cell: String) -> String {
    let cell = Shown(&cell).to_string();
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => format!("'{cell}"),
        Some(_) | None => cell,
    }
}
