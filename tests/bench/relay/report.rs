//! The table, and the same as JSON.

use crate::door::Door;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What one door did, a value a round.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) door: Door,
    pub(crate) rounds: Vec<f64>,
}

/// One figure through all doors.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// The door that the ratios are to; none where there is nothing to compare with.
    pub(crate) base: Option<Door>,
    pub(crate) cells: Vec<Cell>,
    /// Instead of figures: why there are none.
    pub(crate) note: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &str, unit: &'static str, base: Option<Door>) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            base,
            cells: Vec::new(),
            note: None,
        }
    }

    pub(crate) fn not_measured(name: &str, why: &str) -> Self {
        Self {
            note: Some(format!("not measured: {why}")),
            ..Self::new(name, "", None)
        }
    }

    pub(crate) fn single(name: &str, unit: &'static str, door: Door, value: f64) -> Self {
        let mut row = Self::new(name, unit, None);
        row.put(door, value);
        row
    }

    /// One more round of that door.
    pub(crate) fn put(&mut self, door: Door, value: f64) {
        match self.cells.iter_mut().find(|cell| cell.door == door) {
            Some(cell) => cell.rounds.push(value),
            None => self.cells.push(Cell {
                door,
                rounds: vec![value],
            }),
        }
    }

    /// The median of what each round's ratio to the base was.
    fn ratio(&self, cell: &Cell) -> Option<f64> {
        let base = self.cells.iter().find(|one| Some(one.door) == self.base)?;
        let pairs = cell.rounds.iter().zip(&base.rounds);
        Some(median(pairs.map(|(own, base)| own / base).collect()))
    }
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

pub(crate) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    let place = ((values.len() - 1) as f64 * part).round() as usize;
    values[place]
}

pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Row) {
        println!("{} {}", row.name, row.note.clone().unwrap_or_default());
        for cell in &row.cells {
            let value = median(cell.rounds.clone());
            let ratio = row.ratio(cell).map(|ratio| format!("{ratio:8.2}"));
            println!(
                "    {:<22} {value:>10.2} {:<10} {}",
                cell.door.name(),
                row.unit,
                ratio.unwrap_or_default()
            );
        }
        self.rows.push(row);
    }

    /// The table once more as Markdown, and all rounds as JSON.
    pub(crate) fn write(&self) {
        println!("\n{}", self.markdown());
        let path = std::env::var_os("RELAY_JSON").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/relay.json")),
            PathBuf::from,
        );
        let rows: Vec<Value> = self.rows.iter().map(|row| self.json(row)).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let all = json!({ "cores": cores, "rows": rows });
        std::fs::write(&path, serde_json::to_vec_pretty(&all).unwrap()).unwrap();
        println!("written to {}", path.display());
    }

    fn json(&self, row: &Row) -> Value {
        let cells = row.cells.iter().map(|cell| {
            json!({
                "door": cell.door.name(),
                "median": median(cell.rounds.clone()),
                "ratio": row.ratio(cell),
                "rounds": cell.rounds,
            })
        });
        json!({
            "name": row.name,
            "unit": row.unit,
            "ratio_to": row.base.map(Door::name),
            "note": row.note,
            "cells": cells.collect::<Vec<_>>(),
        })
    }

    fn markdown(&self) -> String {
        let doors = Door::ALL.map(Door::name).join(" | ");
        let mut text = format!(
            "| figure | {doors} |\n|---|{}\n",
            "---|".repeat(Door::ALL.len())
        );
        for row in &self.rows {
            let cells = Door::ALL.map(|door| self.shown(row, door)).join(" | ");
            let unit = match row.unit {
                "" => String::new(),
                unit => format!(", {unit}"),
            };
            let note = row.note.as_ref().map(|note| format!(" ({note})"));
            let note = note.unwrap_or_default();
            text.push_str(&format!("| {}{unit}{note} | {cells} |\n", row.name));
        }
        text
    }

    fn shown(&self, row: &Row, door: Door) -> String {
        let Some(cell) = row.cells.iter().find(|cell| cell.door == door) else {
            return String::new();
        };
        let value = median(cell.rounds.clone());
        match row.ratio(cell) {
            Some(ratio) if row.base != Some(door) => format!("{value:.2} ({ratio:.2})"),
            _ => format!("{value:.2}"),
        }
    }
}
