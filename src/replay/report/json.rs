//! A report as one JSON document, written in pieces.

use super::access::{Access, COLUMNS, time};
use super::gather::Report;
use crate::event::escape_json;
use serde_json::{Map, Value, json};

pub(super) fn head(report: &Report) -> Result<Vec<u8>, String> {
    let asked = &report.asked;
    let sections = report.sections().into_iter().map(|section| {
        let rows = section.rows.iter();
        let rows: Vec<Value> = rows.map(|row| object(section.columns, row)).collect();
        let value = json!({
            "title": section.title,
            "says": section.says,
            "total": section.total,
            "rows": rows,
        });
        (section.id.to_owned(), value)
    });
    let sections: Map<String, Value> = sections.collect();
    let head = json!({
        "report": "access",
        "since": time(asked.since),
        "until": time(asked.until),
        "filter": asked.filter,
        "node": asked.node,
        "generated": time(asked.now),
        "by": asked.by,
        "sessions": report.sessions,
        "running": report.running,
        "people": report.people(),
        "targets": report.targets(),
        "damaged": report.damaged,
        "sections": sections,
    });
    let text = escape_json(&head.to_string());
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{open},\"accesses\":[").into_bytes())
}

pub(super) fn access(access: &Access, first: bool) -> Result<Vec<u8>, String> {
    let comma = if first { "\n" } else { ",\n" };
    let object = object(&COLUMNS, &access.cells).to_string();
    Ok(format!("{comma}{}", escape_json(&object)).into_bytes())
}

fn object(columns: &[&str], row: &[String]) -> Value {
    let cells = columns.iter().zip(row);
    let cells = cells.map(|(name, cell)| ((*name).to_owned(), Value::from(cell.as_str())));
    Value::Object(cells.collect())
}
