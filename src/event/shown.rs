use std::fmt::{self, Write};

/// Foreign text on its way to a terminal: control codes, bidi controls and other characters that
/// change what a person sees are written as escapes, so that no name, path, error or banner can
/// move the cursor, set a title or reverse a line. A line break is shown, not made.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut safe = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                '\n' => safe.push_str("\\n"),
                '\r' => safe.push_str("\\r"),
                '\t' => safe.push_str("\\t"),
                c if is_dangerous(c) => write!(safe, "\\u{{{:x}}}", u32::from(c))?,
                c => safe.push(c),
            }
        }
        f.pad(&safe)
    }
}

/// JSON escapes (RFC 8259 §7) for what a terminal obeys and JSON lets stand: DEL, C1, bidi and other
/// hidden controls. Outside of strings valid JSON has none of it; in them an escape is the same text.
pub(crate) fn escape_json(json: &str) -> String {
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json.to_owned();
    }
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if !is_dangerous(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// C0, DEL, C1, and the format characters (Unicode general category Cf that reorder or hide text).
pub(crate) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_gets_through() {
        let attack = "a\x1b]0;title\x07b\u{9b}31mc\u{202e}d\u{200b}\x7f\n";
        let shown = Shown(attack).to_string();
        assert_eq!(
            shown,
            "a\\u{1b}]0;title\\u{7}b\\u{9b}31mc\\u{202e}d\\u{200b}\\u{7f}\\n"
        );
        assert!(!shown.chars().any(is_dangerous));
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        assert_eq!(Shown("größe 日本 👍").to_string(), "größe 日本 👍");
    }
}
