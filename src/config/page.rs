//! One file of the configuration: its text, and everything that is wrong with it.

use serde::de::DeserializeOwned;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// Whoever has more than that wrong begins with these.
const FAULTS_MAX: usize = 50;
/// Longer than any list of targets that a person keeps in one file: 8 MiB.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A text or a list of texts, of any type: what it must be is said by whoever reads it.
pub(super) type Loose = Spanned<toml::Value>;

pub(super) struct Page {
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) faults: Vec<String>,
}

impl Page {
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let read = || {
            if fs::metadata(file)?.len() > FILE_BYTES_MAX {
                let message = format!("it is larger than {FILE_BYTES_MAX} bytes");
                return Err(std::io::Error::other(message));
            }
            fs::read_to_string(file)
        };
        let text = read().map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        Ok(Self {
            file: file.to_owned(),
            text,
            faults: Vec::new(),
        })
    }

    /// Everything that the shape `T` does not allow is a fault and is left out. `T` demands
    /// nothing, so that what remains always fits.
    pub(super) fn parse<T: DeserializeOwned>(&mut self) -> Option<T> {
        let text = self.text.clone();
        let (mut table, errors) = DeTable::parse_recoverable(&text);
        for error in errors.iter().take(FAULTS_MAX) {
            self.fault(error.span().unwrap_or_default(), error.message());
        }
        if !errors.is_empty() {
            return None;
        }
        for _ in 0..FAULTS_MAX {
            let error = match T::deserialize(Deserializer::from(table.clone())) {
                Ok(parsed) => return Some(parsed),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_default();
            self.fault(span.clone(), error.message());
            if !remove(table.get_mut(), &span) {
                return None;
            }
        }
        None
    }

    pub(super) fn fault(&mut self, at: Range<usize>, message: &str) {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.faults
            .push(format!("{}:{line}: {message}", self.file.display()));
    }

    /// `90s`, `10m`, `8h`: more than nothing.
    pub(super) fn duration(
        &mut self,
        key: &str,
        given: Option<&Loose>,
        default: Duration,
    ) -> Duration {
        let Some(given) = given else { return default };
        let text = given.get_ref().as_str();
        let parsed = text.and_then(|text| humantime::parse_duration(text).ok());
        parsed.filter(|time| !time.is_zero()).unwrap_or_else(|| {
            let message = format!(
                "`{key}` is a time with its unit, as \"90s\", \"10m\" or \"8h\", not {}",
                given.get_ref()
            );
            self.fault(given.span(), &message);
            default
        })
    }

    /// The same, or `never`.
    pub(super) fn limit(&mut self, key: &str, given: Option<&Loose>) -> Option<Duration> {
        let given = given?;
        if given.get_ref().as_str() == Some("never") {
            return None;
        }
        // Only a fault gives the default, and then nothing is used.
        Some(self.duration(key, Some(given), Duration::MAX))
    }

    /// A number between two others.
    pub(super) fn number(
        &mut self,
        key: &str,
        given: Option<&Loose>,
        default: usize,
        most: usize,
    ) -> usize {
        let Some(given) = given else { return default };
        let number = given.get_ref().as_integer();
        let number = number.and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| (1..=most).contains(number))
            .unwrap_or_else(|| {
                let message = format!(
                    "`{key}` is a number from 1 to {most}, not {}",
                    given.get_ref()
                );
                self.fault(given.span(), &message);
                default
            })
    }

    /// `500MiB`, `2GiB`.
    pub(super) fn size(
        &mut self,
        key: &str,
        given: Option<&Loose>,
        default: usize,
        least: usize,
    ) -> usize {
        let Some(given) = given else { return default };
        let text = given.get_ref().as_str().unwrap_or_default();
        let unit = |unit: &str, bytes: usize| {
            let number = text.strip_suffix(unit)?.trim().parse::<usize>().ok()?;
            number.checked_mul(bytes)
        };
        let bytes = unit("GiB", 1 << 30).or_else(|| unit("MiB", 1 << 20));
        bytes.filter(|bytes| *bytes >= least).unwrap_or_else(|| {
            let message = format!(
                "`{key}` is a size as \"2GiB\" or \"500MiB\", {} MiB at least, not {}",
                least >> 20,
                given.get_ref()
            );
            self.fault(given.span(), &message);
            default
        })
    }

    /// A text, or a list of them.
    pub(super) fn texts(&mut self, key: &str, given: &Loose) -> Vec<String> {
        let text = |value: &toml::Value| value.as_str().map(str::to_owned);
        let texts = match given.get_ref().as_array() {
            Some(list) => list.iter().map(text).collect(),
            None => text(given.get_ref()).map(|text| vec![text]),
        };
        texts.unwrap_or_else(|| {
            let message = format!(
                "`{key}` is a text or a list of texts, not {}",
                given.get_ref()
            );
            self.fault(given.span(), &message);
            Vec::new()
        })
    }
}

/// Takes out what stands at `span`, so that the next fault can be found.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let mut wrong = None;
    for (key, value) in table.iter_mut() {
        if key.span() == *span || value.span() == *span {
            wrong = Some(key.clone());
            break;
        }
        if remove_within(value, span) {
            return true;
        }
        let holds = value.span().start <= span.start && span.end <= value.span().end;
        if holds && !span.is_empty() {
            wrong = Some(key.clone());
            break;
        }
    }
    wrong.is_some_and(|key| table.remove(&key).is_some())
}

fn remove_within(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(list) => list.iter_mut().any(|each| remove_within(each, span)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}
