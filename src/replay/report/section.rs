//! A list with a bound, as all three formats write it.

use crate::event::Shown;

/// Rows of one list in a report; what is beyond is counted.
pub(super) const ROWS_MAX: usize = 500;
/// Bytes of one foreign text in a report.
const CELL_BYTES_MAX: usize = 500;

/// One thing that an auditor asks.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// For machines.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it is made from, and what it cannot say.
    pub(super) says: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
    pub(super) total: u64,
}

impl Section {
    pub(super) fn new(
        id: &'static str,
        title: &'static str,
        says: &'static str,
        columns: &'static [&'static str],
    ) -> Self {
        Self {
            id,
            title,
            says,
            columns,
            rows: Vec::new(),
            total: 0,
        }
    }

    /// Counted always, kept while there is room.
    pub(super) fn add(&mut self, row: impl FnOnce() -> Vec<String>) {
        self.total += 1;
        if self.rows.len() < ROWS_MAX {
            self.rows.push(row());
        }
    }

    pub(super) fn more(&self) -> u64 {
        self.total.saturating_sub(self.rows.len() as u64)
    }
}

/// Foreign text for a reader: nothing in it moves, hides or reverses anything, and it has an end.
pub(super) fn cell(text: &str) -> String {
    let mut end = CELL_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = text.get(..end).unwrap_or_default();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", Shown(cut))
}
