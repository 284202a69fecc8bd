//! Secrets in a visible line are masked in events; the frames keep what was shown.

/// What replaces a secret.
const MASK: &str = "[masked]";
/// The words after these hold a secret.
const OPTIONS: [&str; 8] = [
    "--password",
    "--passwd",
    "--passphrase",
    "--token",
    "--secret",
    "--api-key",
    "--secret-key",
    "--auth-token",
];
/// What a name ends with whose value is a secret.
const NAMES: [&str; 7] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "SECRET_KEY",
    "ACCESS_KEY",
];
/// What a key or token begins with, and how long one is at least.
const PREFIXES: [(&str, usize); 9] = [
    ("ghp_", 30),
    ("gho_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AKIA", 20),
    ("ASIA", 20),
    ("sk-", 24),
];

/// The text with what looks like a secret replaced.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut is_value = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            masked.push_str(piece);
            continue;
        }
        match secret_at(word, is_value) {
            Some(at) => {
                masked.push_str(word.get(..at).unwrap_or_default());
                masked.push_str(MASK);
                if let Some(quote) = word.chars().next_back().filter(|c| "'\"".contains(*c)) {
                    masked.push(quote);
                }
            }
            None => masked.push_str(word),
        }
        masked.push_str(space);
        is_value = OPTIONS.contains(&word) || word.ends_with("Bearer");
    }
    masked
}

/// Where in the word the secret begins.
fn secret_at(word: &str, is_value: bool) -> Option<usize> {
    if is_value && !word.starts_with('-') {
        return Some(0);
    }
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
    {
        let upper = name
            .trim_start_matches('-')
            .replace('-', "_")
            .to_uppercase();
        if OPTIONS.contains(&name) || NAMES.iter().any(|end| upper.ends_with(end)) {
            return Some(name.len() + 1);
        }
    }
    // A user and password in an address: https://ana:secret@host/.
    if let Some(at) = word.find("://").map(|at| at + 3)
        && let Some(end) = word.get(at..).and_then(|rest| rest.find('@'))
        && let Some(colon) = word.get(at..at + end).and_then(|user| user.find(':'))
    {
        return Some(at + colon + 1);
    }
    PREFIXES.iter().find_map(|(prefix, length)| {
        let at = word.find(prefix)?;
        let before = word.get(..at)?.chars().next_back();
        let rest = word.get(at..)?;
        let is_token = rest
            .trim_end_matches(['\'', '"'])
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let is_start = before.is_none_or(|c| !c.is_ascii_alphanumeric());
        (is_start && is_token && rest.len() >= *length).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, expected) in [
            (
                "mysql --password=hunter2 db",
                "mysql --password=[masked] db",
            ),
            ("mysql --password hunter2", "mysql --password [masked]"),
            ("export PGPASSWORD='x y'", "export PGPASSWORD=[masked] y'"),
            (
                "curl -H 'Authorization: Bearer abc.def' https://x",
                "curl -H 'Authorization: Bearer [masked]' https://x",
            ),
            (
                "git clone https://ana:hunter2@git.example.com/x",
                "git clone https://ana:[masked]",
            ),
            (
                "echo ghp_0123456789012345678901234567890123",
                "echo [masked]",
            ),
        ] {
            assert_eq!(mask(text), expected);
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "echo  two   spaces ",
            "id -u\nls  -la",
            "make TARGET=all",
            "password",
            "vault token lookup",
            "echo a=b https://example.com/a@b",
            "ls task-sk-1",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
