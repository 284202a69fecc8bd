//! The accesses as CSV. The lists are in the other formats.

use super::access::{Access, COLUMNS};
use crate::replay::export::{csv_row, harmless};

pub(super) fn head() -> Result<Vec<u8>, String> {
    csv_row(&COLUMNS)
}

pub(super) fn access(access: &Access) -> Result<Vec<u8>, String> {
    csv_row(&access.cells.clone().map(harmless))
}
