//! What was typed and what was shown, laid side by side: what was run, and how sure that is.

use super::line::Typed;
use crate::event::{CommandSource, Confidence};
use unicode_width::UnicodeWidthChar;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A command, and how many of the typed lines it is.
    Command {
        text: String,
        confidence: Confidence,
        sources: Vec<CommandSource>,
        consumed: usize,
    },
    /// The first typed line was not shown.
    Unshown,
    /// The first typed line is empty, and so is the screen.
    Nothing,
}

/// `lines`: the logical lines from the prompt on. `shell`: it is where a shell reads, for certain.
pub(super) fn judge(typed: &[&Typed], lines: &[String], trusted: bool, shell: bool) -> Verdict {
    let Some(first) = typed.first() else {
        return Verdict::Nothing;
    };
    if let Some(verdict) = agree(typed, lines) {
        return verdict;
    }
    let shown = lines.iter().any(|line| !line.trim().is_empty());
    if first.simple && first.text.trim().is_empty() && !first.withheld {
        return if shown {
            screen(typed, lines)
        } else {
            Verdict::Nothing
        };
    }
    if !shown || is_mask(first, lines) {
        return if first.keys == 0 {
            Verdict::Nothing
        } else {
            Verdict::Unshown
        };
    }
    let echoed = first.is_echoed();
    if first.simple && !first.withheld {
        // Nothing of it came back when it was typed, and it does not stand there: what stands
        // there is something else.
        if !echoed && (first.hits == 0 || !trusted) {
            return Verdict::Unshown;
        }
        if echoed && (first.breaks > 0 || !trusted) {
            return typed_alone(first);
        }
    } else if first.keys > 0 && first.hits == 0 && !shell {
        return Verdict::Unshown;
    }
    screen(typed, lines)
}

/// The screen says what was typed, white space aside: wrapped, indented or repainted.
fn agree(typed: &[&Typed], lines: &[String]) -> Option<Verdict> {
    let first = typed.first()?;
    if !first.simple || first.withheld || first.text.trim().is_empty() {
        return None;
    }
    let mut rest = lines;
    let mut texts = Vec::new();
    for line in typed {
        if !line.simple || line.withheld {
            break;
        }
        let late = line.text.get(line.early..).unwrap_or_default();
        let whole = without(rest, &line.text).map(|after| (after, line.text.as_str()));
        let late = (line.early > 0 && !late.trim().is_empty()).then_some(late);
        let agreed = whole.or_else(|| late.and_then(|late| Some((without(rest, late)?, late))));
        let Some((after, text)) = agreed else {
            break;
        };
        texts.push(trimmed(text));
        rest = after;
        if rest.iter().all(|line| line.trim().is_empty()) {
            break;
        }
    }
    let consumed = texts.len();
    (consumed > 0).then(|| Verdict::Command {
        text: texts.join("\n"),
        confidence: Confidence::High,
        sources: vec![
            CommandSource::Typed,
            CommandSource::Echo,
            CommandSource::Screen,
        ],
        consumed,
    })
}

/// The lines after those that together say `text`.
fn without<'a>(lines: &'a [String], text: &str) -> Option<&'a [String]> {
    let wanted = squash(text);
    let mut said = String::new();
    for (at, line) in lines.iter().enumerate() {
        said.push_str(&squash(line));
        if said == wanted {
            return lines.get(at + 1..);
        }
        if !wanted.starts_with(&said) {
            break;
        }
    }
    let first = lines.first()?;
    let is_same = is_before_right_prompt(first, &wanted) || is_spelled_out(first, text, &wanted);
    is_same.then(|| lines.get(1..)).flatten()
}

/// A right prompt stands far from what was typed.
fn is_before_right_prompt(line: &str, wanted: &str) -> bool {
    let gaps = line.match_indices("   ");
    gaps.filter_map(|(at, _)| line.get(..at))
        .any(|before| squash(before) == wanted)
}

/// zsh writes characters that it does not combine as `<0301>`.
fn is_spelled_out(line: &str, text: &str, wanted: &str) -> bool {
    if !text.chars().any(|c| c.width() == Some(0)) {
        return false;
    }
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        kept.push_str(before);
        let code = after.split_once('>');
        let is_code = |code: &str| code.len() >= 4 && code.chars().all(|c| c.is_ascii_hexdigit());
        match code.filter(|(code, _)| is_code(code)) {
            Some((_, after)) => rest = after,
            None => {
                kept.push('<');
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    squash(&kept) == wanted
}

/// Without white space and characters of no width, which a screen does not keep.
pub(super) fn squash(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && c.width() != Some(0))
        .collect()
}

fn trimmed(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

fn screen(typed: &[&Typed], lines: &[String]) -> Verdict {
    let mut wanted = lines.len();
    let mut consumed = 0;
    for line in typed {
        if wanted == 0 {
            break;
        }
        wanted = wanted.saturating_sub(line.text.split('\n').count());
        consumed += 1;
    }
    let text: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    let echoed = typed.first().is_some_and(|line| line.is_echoed());
    Verdict::Command {
        text: text.join("\n").trim().to_owned(),
        confidence: Confidence::Medium,
        sources: if echoed {
            vec![CommandSource::Echo, CommandSource::Screen]
        } else {
            vec![CommandSource::Screen]
        },
        consumed: consumed.max(1),
    }
}

pub(super) fn typed_alone(line: &Typed) -> Verdict {
    Verdict::Command {
        text: trimmed(&line.text),
        confidence: Confidence::Medium,
        sources: vec![CommandSource::Typed, CommandSource::Echo],
        consumed: 1,
    }
}

/// A row of stars or dots for what was typed.
fn is_mask(line: &Typed, shown: &[String]) -> bool {
    let shown = squash(&shown.concat());
    let mut chars = shown.chars();
    let Some(star) = chars.next() else {
        return false;
    };
    !star.is_alphanumeric() && chars.all(|c| c == star) && squash(&line.text) != shown
}
