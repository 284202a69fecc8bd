//! A session as Markdown: commands are headings, what was shown stands in fences that nothing shown
//! can end (CommonMark 0.31 §4.5).

use crate::event::Shown;
use crate::replay::emulated::clock;
use crate::replay::line::Line;
use crate::replay::marks::Mark;
use crate::replay::transcript::{Said, safe_line};

/// Backticks of a fence, as long as no line begins with so many.
const FENCE: usize = 4;

/// The state of a page: inside of a fence of that many backticks or not.
#[derive(Default)]
pub(super) struct Page {
    fence: Option<usize>,
}

impl Page {
    pub(super) fn head(&mut self, line: &Line, facts: &[(&'static str, String)]) -> String {
        let mut out = format!("# Session {}\n\n", line.sid);
        for (name, text) in facts {
            out += &format!("- {name}: {}\n", code(text));
        }
        out.push('\n');
        out
    }

    pub(super) fn line(&mut self, said: &Said) -> String {
        let mut out = String::new();
        if let Some(mark) = &said.heading {
            self.close(&mut out);
            heading(mark, &mut out);
        } else if said.ours {
            self.close(&mut out);
            out += &format!("*portcullis:* {}\n\n", code(&said.text));
        } else {
            let text = safe_line(&said.text);
            self.open(ticks(&text), &mut out);
            out.push_str(&text);
            out.push('\n');
        }
        out
    }

    pub(super) fn channel(&mut self, channel: u32) -> String {
        let mut out = String::new();
        self.close(&mut out);
        out += &format!("*portcullis:* channel {channel}\n\n");
        out
    }

    pub(super) fn finish(&mut self) -> String {
        let mut out = String::new();
        self.close(&mut out);
        out
    }

    /// A fence that a line which begins with `ticks` backticks does not end.
    fn open(&mut self, ticks: usize, out: &mut String) {
        if self.fence.is_some_and(|fence| ticks >= fence) {
            self.close(out);
        }
        if self.fence.is_none() {
            let fence = FENCE.max(ticks + 1);
            self.fence = Some(fence);
            *out += &format!("{}text\n", "`".repeat(fence));
        }
    }

    fn close(&mut self, out: &mut String) {
        if let Some(fence) = self.fence.take() {
            *out += &format!("{}\n\n", "`".repeat(fence));
        }
    }
}

fn heading(mark: &Mark, out: &mut String) {
    *out += &format!("## {} {}\n\n", clock(mark.at), code(&mark.text));
    if !mark.detail.is_empty() {
        *out += &format!("{}\n\n", code(&mark.detail));
    }
}

/// Backticks at the begin of a line, as a closing fence would stand: behind any blanks, which is more
/// than CommonMark allows.
fn ticks(text: &str) -> usize {
    let text = text.trim_start();
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// A code span: longer fences than any run inside, one line, nothing of it is markup (§6.1).
fn code(text: &str) -> String {
    let text = Shown(text).to_string();
    let mut longest = 0;
    for part in text.split(|c| c != '`') {
        longest = longest.max(part.len());
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::transcript::recorded;
    use proptest::prelude::*;

    #[test]
    fn a_line_cannot_end_its_fence() {
        let mut page = Page::default();
        let lines = ["a", "````", "  `````` # out", "`````", "b"];
        let mut out = String::new();
        for line in lines {
            out += &page.line(&recorded(0, line.to_owned(), Vec::new()));
        }
        out += &page.finish();
        let fence = "`".repeat(7);
        let expected = format!(
            "````text\na\n````\n\n`````text\n````\n`````\n\n{fence}text\n  `````` # out\n`````\nb\n{fence}\n\n"
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn a_code_span_holds_what_it_is_given() {
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code("x\ny"), "` x\\ny `");
    }

    /// What a reader by the rules takes for the content of fences.
    fn inside(page: &str) -> Vec<&str> {
        let mut fence = None;
        let mut lines = Vec::new();
        for line in page.lines() {
            let indent = line.len() - line.trim_start_matches(' ').len();
            let run = ticks(line);
            match fence {
                None if run >= 3 => fence = Some(run),
                None => {}
                Some(open) if indent <= 3 && run >= open && line.trim().len() == run => {
                    fence = None;
                }
                Some(_) => lines.push(line),
            }
        }
        lines
    }

    proptest! {
        #[test]
        fn fences_hold_any_lines(lines in prop::collection::vec("[ `~a]{0,9}|\\PC{0,5}", 0..20)) {
            let mut page = Page::default();
            let mut out = String::new();
            for line in &lines {
                out += &page.line(&recorded(0, line.clone(), Vec::new()));
            }
            out += &page.finish();
            let safe: Vec<String> = lines.iter().map(|line| safe_line(line)).collect();
            prop_assert_eq!(inside(&out), safe);
        }
    }
}
