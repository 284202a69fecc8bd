//! What somebody looks for: literal words, whatever they are. Pure.

use super::fold::{fold, position};
use std::collections::BTreeSet;

/// A longer phrase is a mistake.
pub const PHRASE_BYTES_MAX: usize = 512;
/// Characters that the index knows at once; fewer are looked for line by line.
const TERM_CHARS: usize = 3;

/// Why words cannot be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPhrase {
    #[error("there is nothing to search for: write the words, as `search rm -rf`")]
    Empty,
    #[error(
        "{0} bytes are too much to search for: write a part of it, at most {PHRASE_BYTES_MAX} bytes"
    )]
    TooLong(usize),
}

/// At least one character, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(String);

impl Phrase {
    pub fn parse(words: &str) -> Result<Self, BadPhrase> {
        if words.len() > PHRASE_BYTES_MAX {
            return Err(BadPhrase::TooLong(words.len()));
        }
        let folded = fold(words).trim().to_owned();
        if folded.is_empty() {
            return Err(BadPhrase::Empty);
        }
        Ok(Self(folded))
    }

    /// Where it begins in a text.
    pub fn position(&self, text: &str) -> Option<usize> {
        position(text, &self.0)
    }

    /// Its length.
    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }

    /// Its terms in the index; none when it is too short to have one.
    pub(super) fn terms(&self) -> BTreeSet<String> {
        let chars: Vec<char> = self.0.chars().collect();
        let windows = chars.windows(TERM_CHARS);
        windows.map(|window| window.iter().collect()).collect()
    }

    /// Whether the index knows it; else lines are gone through.
    pub fn is_short(&self) -> bool {
        self.chars() < TERM_CHARS
    }
}

/// Terms of a folded text, for counting.
pub(super) fn terms_of(folded: &str) -> BTreeSet<[char; TERM_CHARS]> {
    let chars: Vec<char> = folded.chars().collect();
    let windows = chars.windows(TERM_CHARS);
    windows
        .filter_map(|window| window.try_into().ok())
        .collect()
}

/// FTS5's words for: all of these, each a string of its own (a quote in it is doubled).
pub(super) fn all_of<'a>(terms: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = terms.into_iter().map(|term| quote(term)).collect();
    quoted.join(" AND ")
}

/// One of these.
pub(super) fn one_of(terms: &[String]) -> String {
    let quoted: Vec<String> = terms.iter().map(|term| quote(term)).collect();
    format!("({})", quoted.join(" OR "))
}

fn quote(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_too_much_are_told() {
        assert_eq!(Phrase::parse(" \t\x1b "), Err(BadPhrase::Empty));
        let long = "a".repeat(1_000_000);
        assert_eq!(Phrase::parse(&long), Err(BadPhrase::TooLong(1_000_000)));
        assert!(Phrase::parse("|").unwrap().is_short());
        assert!(!Phrase::parse("a|b").unwrap().is_short());
    }

    #[test]
    fn words_of_the_index_are_words_like_others() {
        let phrase = Phrase::parse("a\" OR NEAR(*").unwrap();
        let terms = all_of(&phrase.terms());
        assert!(terms.contains("\"a\"\" \""), "{terms}");
        assert_eq!(terms.matches(" AND ").count(), phrase.terms().len() - 1);
    }
}
