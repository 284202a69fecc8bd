//! What keys do.

use super::core::{Goal, Player, Search};
use super::find::NEEDLE_CHARS_MAX;
use super::over::{Ask, List, Over, Prompt, Typed};
use crate::replay::keys::Key;
use crate::replay::marks::Sort;
use std::time::Duration;

/// What an arrow key moves by.
const SEEK: Duration = Duration::from_secs(5);
/// `[` within this of a command goes to the one before it.
const NEAR: Duration = Duration::from_secs(1);

impl Player {
    pub fn key(&mut self, key: Key) {
        self.message = None;
        if key == Key::Ctrl('c') {
            self.quit = true;
            return;
        }
        match std::mem::replace(&mut self.over, Over::None) {
            Over::None => self.play_key(key),
            Over::Help => {}
            Over::List(list) => self.list_key(list, key),
            Over::Prompt(prompt) => self.prompt_key(prompt, key),
        }
    }

    fn play_key(&mut self, key: Key) {
        match key {
            Key::Char('q') | Key::Ctrl('d') | Key::Escape => self.quit = true,
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('+' | '=') => self.set_speed(2.0),
            Key::Char('-') => self.set_speed(0.5),
            Key::Char('.') => self.step(),
            Key::Char(']') => self.next_command(),
            Key::Char('[') => self.command_before(),
            Key::Char('?' | 'h') => self.over = Over::Help,
            Key::Char('l') => self.over = Over::List(List::at(self.at, &self.marks)),
            Key::Char('/') => self.over = Over::ask(Ask::Text, ""),
            Key::Char('t') => self.over = Over::ask(Ask::Time, ""),
            Key::Char(digit @ '0'..='9') => {
                self.over = Over::ask(Ask::Time, &digit.to_string());
            }
            Key::Char('n') => self.next_hit(),
            Key::Char('N') => self.hit_before(),
            Key::Right | Key::Up => self.seek(self.at.saturating_add(SEEK)),
            Key::Left | Key::Down => self.seek(self.at.saturating_sub(SEEK)),
            Key::Home => self.seek(Duration::ZERO),
            Key::End => self.go(Duration::MAX),
            Key::Char(_) | Key::Ctrl(_) | Key::PageUp | Key::PageDown => {}
            Key::Enter | Key::Backspace | Key::Other => {}
        }
    }

    /// Away from what happens now, if that is where we are.
    fn seek(&mut self, to: Duration) {
        if self.goal == Goal::Live {
            self.goal = Goal::Play;
        }
        self.go(to);
    }

    fn next_command(&mut self) {
        let mut commands = self.marks.iter().filter(|mark| mark.sort == Sort::Command);
        let next = commands.find(|mark| mark.at > self.at).map(|mark| mark.at);
        match next {
            Some(at) => self.seek(at),
            None => self.say(match self.surveyed {
                true => "no command after this",
                false => "commands are still looked for: try again in a moment",
            }),
        }
    }

    fn command_before(&mut self) {
        let limit = self.at.saturating_sub(NEAR);
        let mut commands = self.marks.iter().rev();
        let before = commands.find(|mark| mark.sort == Sort::Command && mark.at <= limit);
        self.seek(before.map(|mark| mark.at).unwrap_or_default());
    }

    fn next_hit(&mut self) {
        let at = self.at;
        let Some(search) = &mut self.search else {
            return self.say("nothing is looked for: type / and a text");
        };
        let next = search.hits.iter().find(|hit| **hit > at).copied();
        match (next, search.done) {
            (Some(hit), _) => self.seek(hit),
            (None, true) => {
                let text = format!("`{}` is not shown after this: N goes back", search.needle);
                self.message = Some(text);
            }
            (None, false) => search.waits_from = Some(at + Duration::from_nanos(1)),
        }
    }

    fn hit_before(&mut self) {
        let at = self.at;
        let Some(search) = &self.search else {
            return self.say("nothing is looked for: type / and a text");
        };
        match search.hits.iter().rev().find(|hit| **hit < at).copied() {
            Some(hit) => self.seek(hit),
            None => self.message = Some(format!("`{}` is not shown before this", search.needle)),
        }
    }

    fn list_key(&mut self, mut list: List, key: Key) {
        match list.key(key, &self.marks) {
            Typed::Open => self.over = Over::List(list),
            Typed::Closed => {}
            Typed::Chosen => match list.chosen(&self.marks).map(|mark| mark.at) {
                Some(at) => self.seek(at),
                None => self.say("nothing fits"),
            },
        }
    }

    fn prompt_key(&mut self, mut prompt: Prompt, key: Key) {
        match prompt.key(key, NEEDLE_CHARS_MAX) {
            Typed::Open => self.over = Over::Prompt(prompt),
            Typed::Closed => {}
            Typed::Chosen => match prompt.ask {
                Ask::Text => self.look_for(prompt.text),
                Ask::Time => match parse_time(&prompt.text, self.settings.total) {
                    Some(at) => self.seek(at),
                    None => self.say("no time: write 1m30s, 90, 1:30 or 50%"),
                },
            },
        }
    }

    fn look_for(&mut self, needle: String) {
        if needle.is_empty() {
            return self.next_hit();
        }
        self.search = Some(Search {
            needle,
            is_new: true,
            waits_from: Some(self.at),
            ..Search::default()
        });
    }

    fn say(&mut self, text: &str) {
        self.message = Some(text.to_owned());
    }
}

/// `1m30s`, seconds, `1:30`, `1:02:03`, `50%`.
pub(super) fn parse_time(text: &str, total: Option<Duration>) -> Option<Duration> {
    let text = text.trim();
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u32 = percent.parse().ok().filter(|percent| *percent <= 100)?;
        return Some(total?.saturating_mul(percent) / 100);
    }
    if let Ok(time) = humantime::parse_duration(text) {
        return Some(time);
    }
    let mut seconds = 0_u64;
    for part in text.split(':') {
        let part: u64 = part.parse().ok()?;
        seconds = seconds.checked_mul(60)?.checked_add(part)?;
    }
    (text.split(':').count() <= 3).then(|| Duration::from_secs(seconds))
}
