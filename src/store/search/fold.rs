//! Text as it is compared: lower case, each run of white space and control codes one space. Pure.

/// Private characters name people and targets in the index; a text that has them gets this.
const FOREIGN: char = '\u{fffd}';
const PRIVATE: u32 = 0xf_0000;
/// Digits of a name's number: two of them reach beyond 16 million names.
const DIGIT: u32 = 0xf_1000;
const DIGITS: u32 = 4096;

/// Whatever contains a text contains its folded text when it is folded, too.
pub(super) fn fold(text: &str) -> String {
    pieces(text).flat_map(|(_, c)| c.to_lowercase()).collect()
}

/// Characters of the folded text before their case is, with the place that each came from.
fn pieces(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut spaced = false;
    text.char_indices().filter_map(move |(at, c)| {
        let space = c.is_whitespace() || c.is_control();
        let again = space && spaced;
        spaced = space;
        match (again, space) {
            (true, _) => None,
            (false, true) => Some((at, ' ')),
            (false, false) if u32::from(c) >= PRIVATE => Some((at, FOREIGN)),
            (false, false) => Some((at, c)),
        }
    })
}

/// Where in the text the folded phrase begins.
pub(super) fn position(text: &str, folded: &str) -> Option<usize> {
    let found = fold(text).find(folded)?;
    let mut length = 0;
    let mut place = 0;
    for (at, c) in pieces(text) {
        if length > found {
            break;
        }
        place = at;
        length += c.to_lowercase().map(char::len_utf8).sum::<usize>();
    }
    Some(place)
}

/// The one term that stands for a name: three characters that no text has.
pub(super) fn term(kind: Kind, number: i64) -> String {
    let number = u32::try_from(number).unwrap_or(0);
    let kind = match kind {
        Kind::Identity => PRIVATE + 1,
        Kind::Target => PRIVATE + 2,
    };
    [
        kind,
        DIGIT + number / DIGITS % DIGITS,
        DIGIT + number % DIGITS,
    ]
    .into_iter()
    .filter_map(char::from_u32)
    .collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Identity,
    Target,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_white_space_make_no_difference() {
        assert_eq!(fold("DROP \t\n TABLE\x1b[0m Users"), "drop table [0m users");
        assert_eq!(position("now  DROP \n TABLE", "drop table"), Some(5));
        assert_eq!(position("İx DROP", "drop"), Some(4));
        assert_eq!(position("drop", "table"), None);
    }

    #[test]
    fn no_text_has_the_term_of_a_name() {
        let term = term(Kind::Identity, 5_000);
        assert_eq!(term.chars().count(), 3);
        assert!(!fold(&format!("a{term}b")).contains(&term));
    }

    proptest! {
        #[test]
        fn a_part_stays_a_part(before in "\\PC{0,9}", part in "(\\PC|[ \t\n\u{1}ΣİSs]){0,9}", after in "\\PC{0,9}") {
            let whole = fold(&format!("{before}{part}{after}"));
            prop_assert!(whole.contains(fold(&part).trim()), "{whole:?}");
        }
    }
}
