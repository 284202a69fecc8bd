//! `search`: options first or last, and everything between them is looked for as it stands. Pure.

use super::words::{TIMES, is_time_of_day, unquoted};

pub(super) const VERB: &str = "search";
const FLAGS: [&str; 2] = ["--json", "--active"];
const OPTIONS: [&str; 10] = [
    "--in",
    "--identity",
    "--target",
    "--login",
    "--ticket",
    "--since",
    "--until",
    "--exit",
    "--confidence",
    "--limit",
];

/// The words for the command tree, if it is this verb.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = line.split_whitespace();
    let mut before = Vec::new();
    let verb = words.by_ref().find(|word| {
        let is_json = *word == "--json";
        before.extend(is_json.then_some(*word));
        !is_json
    })?;
    if verb != VERB {
        return None;
    }
    let words: Vec<&str> = words.collect();
    let first = options(&words);
    let (mut looked_for, mut last) = (words.get(first..).unwrap_or_default(), &[][..]);
    match looked_for.split_first() {
        // Whoever looks for an option says so.
        Some((&"--", rest)) => looked_for = rest,
        Some(_) => {
            let ends = (0..=looked_for.len()).find(|&at| {
                let rest = looked_for.get(at..).unwrap_or_default();
                options(rest) == rest.len()
            });
            let ends = ends.unwrap_or(looked_for.len());
            (looked_for, last) = looked_for
                .split_at_checked(ends)
                .unwrap_or((looked_for, &[]));
        }
        None => {}
    }
    let mut split = vec![VERB.to_owned()];
    split.extend(before.into_iter().map(str::to_owned));
    for options in [words.get(..first).unwrap_or_default(), last] {
        split.extend(times_joined(options));
    }
    split.push("--".to_owned());
    let phrase = unquoted(&looked_for.join(" "));
    split.extend((!phrase.is_empty()).then_some(phrase));
    Some(split)
}

/// How many words from the start on are options with their values.
fn options(words: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let value = words.get(at + 1);
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        at += match value {
            _ if FLAGS.contains(word) => 1,
            _ if OPTIONS.contains(&name) && name != *word => 1,
            Some(_) if TIMES.contains(word) => {
                let time = words.get(at + 2).is_some_and(|next| is_time_of_day(next));
                if time { 3 } else { 2 }
            }
            Some(_) if OPTIONS.contains(word) => 2,
            Some(_) | None => return at,
        };
    }
    at
}

fn times_joined(options: &[&str]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for option in options {
        match joined.last_mut() {
            Some(day) if is_time_of_day(option) && !day.starts_with("--") => {
                day.push(' ');
                day.push_str(option);
            }
            Some(_) | None => joined.push((*option).to_owned()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_stand_first_or_last_and_the_rest_is_looked_for() {
        for (line, expected) in [
            ("search rm -rf", &["search", "--", "rm -rf"][..]),
            ("search", &["search", "--"]),
            (
                "search --in commands rm -rf --json",
                &["search", "--in", "commands", "--json", "--", "rm -rf"],
            ),
            (
                "--json search x --since 2026-11-24 13:00 --limit 3",
                &[
                    "search",
                    "--json",
                    "--since",
                    "2026-11-24 13:00",
                    "--limit",
                    "3",
                    "--",
                    "x",
                ],
            ),
            (
                "search curl --json http://x",
                &["search", "--", "curl --json http://x"],
            ),
            ("search head --limit", &["search", "--", "head --limit"]),
            ("search -- --limit 3", &["search", "--", "--limit 3"]),
            ("search -- ls -- --json", &["search", "--", "ls -- --json"]),
            ("search \"DROP TABLE\"", &["search", "--", "DROP TABLE"]),
            ("search '; --", &["search", "--", "'; --"]),
            (
                "search --exit=1 make",
                &["search", "--exit=1", "--", "make"],
            ),
        ] {
            let split = split(line);
            assert_eq!(split.unwrap(), expected, "{line}");
        }
        assert_eq!(split("sessions search"), None);
        assert_eq!(split(""), None);
    }

    proptest! {
        #[test]
        fn what_is_behind_the_dashes_is_looked_for(words in "[^'\"\n ]{1,9}( [^'\"\n ]{1,9}){0,4}") {
            let words: Vec<&str> = words.split_whitespace().collect();
            let words = words.join(" ");
            let split = split(&format!("search -- {words}")).unwrap();
            let mut expected = vec!["search".to_owned(), "--".to_owned()];
            expected.extend((!words.is_empty()).then_some(words));
            prop_assert_eq!(split, expected);
        }
    }
}
