//! What an edit changed, setting by setting, for the record and the operator.

use super::Config;
use super::page::Page;
use std::collections::BTreeMap;
use toml::Value;

/// A value is shown up to here; a notice can be a page of text.
const VALUE_CHARS: usize = 120;
/// Lines of a difference; the hash stands for the rest.
const LINES_MAX: usize = 100;
/// Sections that take effect at once; the others wait for the next start.
const AT_ONCE: [&str; 4] = ["target.", "identity.", "include", "policies."];

impl Config {
    /// What is other than in `older`, a line each: `+` new, `-` gone, `~` changed.
    pub fn difference(&self, older: &Self) -> Vec<String> {
        let (old, new) = (&older.settings, &self.settings);
        let mut lines = Vec::new();
        for (key, value) in new {
            match old.get(key) {
                None => lines.push((key, format!("+ {key} = {value}"))),
                Some(before) if before != value => {
                    lines.push((key, format!("~ {key}: {before} -> {value}")));
                }
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
        lines.extend(gone.map(|(key, value)| (key, format!("- {key} = {value}"))));
        let more = lines.len().saturating_sub(LINES_MAX);
        let mut lines: Vec<_> = lines
            .into_iter()
            .take(LINES_MAX)
            .map(|(key, line)| match is_at_once(key) {
                true => line,
                false => format!("{line} (at the next start)"),
            })
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

fn is_at_once(key: &str) -> bool {
    AT_ONCE.iter().any(|section| key.starts_with(section))
}

/// SHA-256 over names and texts, hexadecimal.
pub(super) fn hash<'a>(pages: impl Iterator<Item = &'a Page>) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for page in pages {
        let file = page.file.to_string_lossy();
        for part in [file.as_bytes(), page.text.as_bytes()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
    }
    hex::encode(context.finish())
}

pub(super) fn settings<'a>(pages: impl Iterator<Item = &'a Page>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for page in pages {
        // What does not parse is a fault already, and its settings are not used.
        if let Ok(table) = page.text.parse::<toml::Table>() {
            flatten("", &Value::Table(table), &mut settings);
        }
    }
    settings
}

fn flatten(key: &str, value: &Value, settings: &mut BTreeMap<String, String>) {
    let below = |name: &str| match key {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    if let Value::Table(table) = value {
        for (name, value) in table {
            flatten(&below(name), value, settings);
        }
        return;
    }
    let tables = value
        .as_array()
        .filter(|list| list.iter().any(Value::is_table));
    let Some(tables) = tables else {
        let text: String = value.to_string().chars().take(VALUE_CHARS).collect();
        settings.insert(key.to_owned(), text);
        return;
    };
    for (number, each) in tables.iter().enumerate() {
        let named = ["name", "match", "file"].into_iter();
        let mut named = named.filter_map(|word| each.get(word)?.as_str());
        let name = named
            .next()
            .map_or_else(|| number.to_string(), str::to_owned);
        flatten(&below(&name), each, settings);
    }
}
