//! What a settled line is said to be; and lines that nothing has settled.

use super::judge::{self, Verdict};
use super::prompt;
use super::settle::SEARCH_ROWS;
use super::terminal::{At, Inspector, span};
use crate::event::{BlindReason, Command, CommandSource, Confidence, Marks, Span};

impl Inspector {
    pub(super) fn conclude(
        &mut self,
        at: At,
        verdict: Verdict,
        prompt: Option<String>,
        editor: bool,
    ) {
        match verdict {
            Verdict::Nothing => self.drop_first(),
            Verdict::Unshown => self.unshown(at, editor),
            Verdict::Command {
                text,
                confidence,
                sources,
                consumed,
            } => {
                let mut whole = None;
                for line in self
                    .queue
                    .drain(..consumed.min(self.queue.len()))
                    .collect::<Vec<_>>()
                {
                    // At a shell's prompt what an editor was asked to do is shown in its own way.
                    let edited = !line.simple && line.at_editor && self.prompts.knows(&line.prompt);
                    let high = confidence == Confidence::High;
                    if high || edited || line.is_echoed() || line.keys == 0 {
                        self.reveal(&line);
                    } else {
                        self.reveal_end(&line);
                    }
                    let (from, _) = whole.unwrap_or((line.from, line.to));
                    whole = Some((from, line.to));
                }
                let (from, to) = whole.unwrap_or((at, at));
                let prompt = prompt.unwrap_or_default();
                let known = editor || !self.editor.ever || self.prompts.knows(&prompt);
                // The first line at a prompt that no editor vouches for may be a program's.
                let confidence = if known {
                    confidence
                } else {
                    confidence.min(Confidence::Medium)
                };
                self.prompts.learn(&prompt, editor);
                self.say(command(text, confidence, sources, span(from, to)), at);
            }
        }
    }

    /// At a known prompt it is a command although nothing was shown (`stty -echo`); anywhere else it
    /// is taken for a secret.
    pub(super) fn unshown(&mut self, at: At, editor: bool) {
        let Some(line) = self.queue.pop_front() else {
            return;
        };
        let known = self.prompts.knows(&line.prompt)
            && !line.ahead
            && !prompt::is_for_secret(&line.prompt)
            && (editor && line.at_editor || !self.editor.ever);
        let text = line.text.trim();
        if known && line.simple && !line.withheld && !text.is_empty() {
            let sources = vec![CommandSource::Typed];
            let span = span(line.from, line.to);
            self.reveal_end(&line);
            self.say(command(text.to_owned(), Confidence::Low, sources, span), at);
        } else if known && !line.simple {
            self.reveal_end(&line);
            self.blind(BlindReason::NoEcho, line.from, line.to);
        } else {
            self.lost = self.lost.saturating_add(1);
            self.secret(&line);
        }
    }

    /// A new line begins while others are unanswered.
    pub(super) fn settle_stale(&mut self, at: At) {
        if self.is_alternate() {
            while !self.queue.is_empty() {
                self.settle_pane(at);
            }
            return;
        }
        if !self.editor.on || !self.editor.line_fed {
            return;
        }
        let (left, _) = self.screen.around_cursor();
        let (_, row) = self.screen.cursor();
        // The same prompt again in another row: the line before was run, although the editor is
        // said to read on (a forged mode, or a program that does not know it).
        while let Some(first) = self.queue.front() {
            let again = !left.trim().is_empty() && left == first.prompt;
            let place = first.anchor.as_ref();
            let place = place.and_then(|anchor| self.screen.resolve(anchor));
            let below = place.is_none_or(|(_, before)| before < row);
            if !below || !(again || first.ahead) {
                return;
            }
            self.give_up_first(at);
        }
    }

    /// At the end of the channel.
    pub(super) fn settle_rest(&mut self, at: At) {
        if let Some(draft) = self.draft.take() {
            if draft.is_echoed() {
                self.reveal(&draft);
            } else {
                self.reveal_end(&draft);
            }
        }
        while self.is_alternate() && !self.queue.is_empty() {
            self.settle_pane(at);
        }
        if self.armed
            && self.queue.front().is_some_and(|line| line.passed)
            && let Some(line) = self.queue.pop_front()
        {
            self.run_ahead(at, &line);
        }
        while !self.queue.is_empty() {
            self.give_up_first(at);
        }
    }

    /// The first line is settled by what stands at its place now.
    pub(super) fn give_up_first(&mut self, at: At) {
        let Some(line) = self.queue.pop_front() else {
            return;
        };
        let place = line.anchor.as_ref().filter(|_| !line.passed);
        let place = place.and_then(|anchor| self.screen.resolve(anchor));
        let Some(place) = place else {
            if line.at_editor && !line.passed && line.simple && line.is_echoed() {
                self.run_ahead(at, &line);
            } else if line.keys > 0 || !line.simple {
                self.give_to_program(&line, at);
            } else {
                self.reveal(&line);
            }
            return;
        };
        let mut lines = self.screen.text(place, place.1 + SEARCH_ROWS);
        lines.truncate(line.text.split('\n').count());
        let is_prompt = line.at_editor || self.is_prompt(&line);
        let verdict = judge::judge(&[&line], &lines, true, is_prompt);
        if matches!(verdict, Verdict::Command { .. }) && !is_prompt {
            return self.give_to_program(&line, at);
        }
        let prompt = line.prompt.clone();
        self.queue.push_front(line);
        self.conclude(at, verdict, Some(prompt), true);
        self.forget_awaited();
    }

    pub(super) fn drop_first(&mut self) {
        if let Some(line) = self.queue.pop_front() {
            self.reveal(&line);
        }
    }
}

pub(super) fn command(
    text: String,
    confidence: Confidence,
    sources: Vec<CommandSource>,
    span: Span,
) -> Box<Command> {
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    Box::new(Command {
        text: super::mask(&text),
        lines,
        confidence,
        sources,
        span,
        marks: Marks::default(),
    })
}
