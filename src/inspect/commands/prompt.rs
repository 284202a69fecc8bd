//! Prompts that were seen before a line that was shown, and what a prompt looks like.

use std::collections::VecDeque;

const PROMPTS: usize = 16;
const PROMPT_BYTES: usize = 1024;
/// What prompts of shells end with; a program's question ends otherwise.
const SHELL_ENDS: &str = "$#%>❯»➜λ▶→";

#[derive(Default)]
pub(super) struct Prompts {
    known: VecDeque<String>,
    /// Of those, where no line editor was reading.
    cooked: VecDeque<String>,
}

impl Prompts {
    pub(super) fn learn(&mut self, prompt: &str, by_editor: bool) {
        let shape = shape(prompt);
        if shape.trim().is_empty() || prompt.len() > PROMPT_BYTES {
            return;
        }
        if !by_editor {
            remember(&mut self.cooked, shape.clone());
        }
        remember(&mut self.known, shape);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Seen before, but for the digits in it: clocks and counters change.
    pub(super) fn knows(&self, prompt: &str) -> bool {
        let shape = shape(prompt);
        self.known.contains(&shape)
    }

    /// Ends as a known one does: the same prompt in another directory.
    pub(super) fn resembles(&self, prompt: &str) -> bool {
        let end = |text: &str| -> Vec<char> { text.chars().rev().take(2).collect() };
        let mine = end(prompt);
        !prompt.trim().is_empty() && self.known.iter().any(|known| end(known) == mine)
    }

    /// Its end is a known prompt: a program has left its own text before it.
    pub(super) fn ends(&self, line: &str) -> bool {
        let shape = shape(line);
        self.known
            .iter()
            .any(|known| shape.ends_with(known.as_str()))
    }

    /// The end of a known prompt that this line begins with, in characters; the longest.
    pub(super) fn begins(&self, line: &str) -> Option<usize> {
        let shape: Vec<char> = shape(line).chars().collect();
        let begins = |known: &&String| {
            let known: Vec<char> = known.chars().collect();
            shape.starts_with(&known)
        };
        let lengths = self.known.iter().filter(begins);
        lengths.map(|known| known.chars().count()).max()
    }

    /// Could a prompt without an editor end with this character?
    pub(super) fn may_end_with(&self, c: char) -> bool {
        let c = if c.is_ascii_digit() { '0' } else { c };
        self.cooked.iter().any(|known| known.ends_with(c))
    }

    /// Nothing but prompts without an editor: one, or several where nothing was printed between.
    pub(super) fn is_waiting(&self, line: &str) -> bool {
        let shape = shape(line);
        let mut rest = shape.as_str();
        while !rest.is_empty() {
            let known = self
                .cooked
                .iter()
                .find_map(|known| rest.strip_suffix(known.as_str()));
            let Some(before) = known else { return false };
            rest = before;
        }
        !shape.is_empty()
    }
}

fn remember(prompts: &mut VecDeque<String>, shape: String) {
    if let Some(at) = prompts.iter().position(|known| *known == shape) {
        prompts.remove(at);
    } else if prompts.len() >= PROMPTS {
        prompts.pop_front();
    }
    prompts.push_back(shape);
}

/// The prompt with every digit as 0.
pub(super) fn shape(prompt: &str) -> String {
    prompt
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

/// It ends as prompts of shells do.
pub(super) fn is_of_shell(prompt: &str) -> bool {
    prompt
        .trim_end()
        .chars()
        .next_back()
        .is_some_and(|c| SHELL_ENDS.contains(c))
}

/// It asks for an answer: `[Y/n]`, `(yes/no)?`, `Password:`. Not where a shell reads.
pub(super) fn is_question(prompt: &str) -> bool {
    let prompt = prompt.trim_end();
    prompt
        .chars()
        .next_back()
        .is_some_and(|c| "?)]:".contains(c))
}

/// It asks for something that is not to be shown.
pub(super) fn is_for_secret(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let asks = [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "pin",
    ];
    prompt.trim_end().ends_with(':') || asks.iter().any(|ask| prompt.contains(ask))
}

/// Of a terminal multiplexer's row, the part of the pane that the cursor is in.
pub(super) fn pane<'a>(left: &'a str, right: &'a str) -> (&'a str, &'a str) {
    let is_border = |c: char| c == '│' || c == '┃';
    let left = left.rsplit(is_border).next().unwrap_or(left);
    let right = right.split(is_border).next().unwrap_or(right);
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_known_by_its_shape() {
        let mut prompts = Prompts::default();
        prompts.learn("[12:59:01] ana@db7:~$ ", true);
        assert!(prompts.knows("[13:00:47] ana@db7:~$ "));
        assert!(!prompts.knows("[13:00:47] ana@db7:/etc$ "));
        assert!(prompts.resembles("[13:00:47] ana@db7:/etc$ "));
        assert_eq!(prompts.begins("[13:00:47] ana@db7:~$ ls"), Some(22));
        prompts.learn("", true);
        prompts.learn("  ", true);
        assert!(!prompts.knows(""));
    }

    #[test]
    fn only_so_many_are_known() {
        let mut prompts = Prompts::default();
        for n in 0..100u8 {
            prompts.learn(&format!("{}$ ", char::from(b'A' + n % 50)), false);
        }
        assert!(prompts.known.len() <= PROMPTS);
        assert!(prompts.knows("r$ "));
        assert!(prompts.is_waiting("r$ r$ ") && !prompts.is_waiting("xr$ "));
    }

    #[test]
    fn the_pane_of_the_cursor_is_between_its_borders() {
        assert_eq!(pane("a│$ ", "ls │b"), ("$ ", "ls "));
        assert_eq!(pane("$ ", "ls"), ("$ ", "ls"));
    }
}
