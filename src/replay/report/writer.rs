//! A report in one of its formats, piece by piece.

use super::access::Access;
use super::format::Format;
use super::gather::Report;
use super::{html, json, table};

/// Writes a report in pieces: before the accesses, each of them, and after them.
pub struct Writer {
    format: Format,
    begun: bool,
}

impl Writer {
    pub fn new(format: Format) -> Self {
        let begun = false;
        Self { format, begun }
    }

    /// # Errors
    /// When a piece cannot be made, which is a fault of ours.
    pub fn head(&self, report: &Report) -> Result<Vec<u8>, String> {
        match self.format {
            Format::Html => html::head(report),
            Format::Csv => table::head(),
            Format::Json => json::head(report),
        }
    }

    /// # Errors
    /// As [`Writer::head`].
    pub fn access(&mut self, access: &Access) -> Result<Vec<u8>, String> {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.format {
            Format::Html => html::access(access),
            Format::Csv => table::access(access),
            Format::Json => json::access(access, first),
        }
    }

    pub fn foot(&self) -> Vec<u8> {
        match self.format {
            Format::Html => html::FOOT.as_bytes().to_vec(),
            Format::Csv => Vec::new(),
            Format::Json => b"\n]}\n".to_vec(),
        }
    }
}
