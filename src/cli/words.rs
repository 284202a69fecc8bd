//! The line that ssh makes of what somebody typed: split at spaces, as ssh joined it. Pure.

use super::phrase;

/// These take all words up to the next `--option`: nobody quotes twice for ssh.
const SENTENCES: [&str; 2] = ["--reason", "--note"];
/// These take a day and a time of day.
pub(super) const TIMES: [&str; 2] = ["--since", "--until"];

/// The words for the command tree.
pub(super) fn split(line: &str) -> Vec<String> {
    if let Some(words) = phrase::split(line) {
        return words;
    }
    let mut words = Vec::new();
    let mut rest = line.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        words.push(word.to_owned());
        if SENTENCES.contains(&word) {
            let mut sentence = Vec::new();
            while let Some(next) = rest.next_if(|next| !is_option(next)) {
                sentence.push(next);
            }
            words.extend((!sentence.is_empty()).then(|| unquoted(&sentence.join(" "))));
        } else if TIMES.contains(&word)
            && let Some(day) = rest.next()
        {
            let time = rest.next_if(|next| is_time_of_day(next));
            words.push(time.map_or(day.to_owned(), |time| format!("{day} {time}")));
        }
    }
    json_last(words)
}

/// A sentence may have dashes: `--` alone and `-v` are words of it.
fn is_option(word: &str) -> bool {
    word.strip_prefix("--")
        .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

pub(super) fn is_time_of_day(word: &str) -> bool {
    word.contains(':') && word.chars().all(|c| c.is_ascii_digit() || c == ':')
}

/// Who quotes for ssh as for a shell means the words inside.
pub(super) fn unquoted(sentence: &str) -> String {
    let inside = ['"', '\'']
        .into_iter()
        .find_map(|quote| sentence.strip_prefix(quote)?.strip_suffix(quote));
    inside.unwrap_or(sentence).to_owned()
}

/// `--json` may stand before the verb as well: it goes behind it, where the verbs know it.
pub(super) fn json_last(mut words: Vec<String>) -> Vec<String> {
    if let Some(verb) = words.iter().position(|word| word == phrase::VERB) {
        // Behind that verb it may be one of the words that are looked for.
        let mut rest = words.split_off(verb);
        let asked = words.len();
        words.retain(|word| word != "--json");
        let json = (words.len() < asked).then(|| "--json".to_owned());
        rest.splice(1..1, json);
        words.append(&mut rest);
        return words;
    }
    let (json, mut rest): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word == "--json");
    rest.extend(json.into_iter().take(1));
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sentence_takes_all_words_up_to_the_next_option() {
        for (line, expected) in [
            (
                "why --reason the disk is full --for 4h",
                &["why", "--reason", "the disk is full", "--for", "4h"][..],
            ),
            (
                "why --for 4h --reason remove -v -- and \"more\"",
                &[
                    "why",
                    "--for",
                    "4h",
                    "--reason",
                    "remove -v -- and \"more\"",
                ],
            ),
            (
                "why --reason \"disk full\" --ticket INC-42",
                &["why", "--reason", "disk full", "--ticket", "INC-42"],
            ),
            ("why --reason", &["why", "--reason"]),
            ("why --reason --for 4h", &["why", "--reason", "--for", "4h"]),
        ] {
            assert_eq!(split(line), expected, "{line}");
        }
    }

    #[test]
    fn a_time_may_have_a_space() {
        let words = split("sessions --since 2026-11-24 13:00 --until 7d --limit 3");
        assert_eq!(
            words,
            [
                "sessions",
                "--since",
                "2026-11-24 13:00",
                "--until",
                "7d",
                "--limit",
                "3"
            ]
        );
        assert_eq!(split("sessions --since"), ["sessions", "--since"]);
    }

    #[test]
    fn json_may_stand_anywhere() {
        assert_eq!(split("--json sessions"), ["sessions", "--json"]);
        assert_eq!(
            split("sessions --json show x"),
            ["sessions", "show", "x", "--json"]
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_made(line in "(--reason|--since|-v|a|b:1| |\n|\u{a0}|\"){0,20}") {
            let joined = split(&line).join(" ");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '"').count();
            prop_assert_eq!(letters(&joined), letters(&line));
        }
    }
}
