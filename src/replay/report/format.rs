//! What a report can be written as, by name.

use std::str::FromStr;

/// What a report can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page that prints well, and loads and runs nothing.
    Html,
    /// The accesses, a row each.
    Csv,
    Json,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Html, Self::Csv, Self::Json];
        let found = all.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| format!("`{text}` is no format of a report; there are html, csv, json"))
    }
}
