//! What lies over the picture: help, the list of moments, a question.

use crate::event::Shown;
use crate::replay::emulated::clock;
use crate::replay::keys::Key;
use crate::replay::marks::{Mark, Sort};
use crate::replay::paint::put;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::time::Duration;

const HELP: [&str; 14] = [
    "space   pause and go on",
    "arrows  5 seconds back and forth",
    ".       one more picture",
    "] [     next command, command before",
    "l       list of commands, files, alerts, gaps",
    "/       look for a text that was shown",
    "n N     next hit, hit before",
    "t       go to a time; or type it: 90, 1:30, 1m30s, 50%",
    "Home    to the start",
    "End     to the end, or to what happens now",
    "+ -     faster, slower",
    "q       quit",
    "",
    "below: c command  f file  ! alert  # gap",
];
/// What is typed into a filter at most.
const FILTER_CHARS_MAX: usize = 100;
/// What PageUp and PageDown move by.
const PAGE: usize = 10;

#[derive(Debug)]
pub(super) enum Over {
    None,
    Help,
    List(List),
    Prompt(Prompt),
}

/// What a key did to a question.
pub(super) enum Typed {
    Open,
    Closed,
    Chosen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Text,
    Time,
}

#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) ask: Ask,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct List {
    filter: String,
    chosen: usize,
}

impl Over {
    pub(super) fn ask(ask: Ask, text: &str) -> Self {
        Self::Prompt(Prompt {
            ask,
            text: text.to_owned(),
        })
    }

    /// The question, for the line at the bottom.
    pub(super) fn question(&self) -> Option<String> {
        match self {
            Self::Prompt(prompt) => Some(match prompt.ask {
                Ask::Text => format!("/{}_", prompt.text),
                Ask::Time => format!("time: {}_", prompt.text),
            }),
            Self::None | Self::Help | Self::List(_) => None,
        }
    }

    /// Draws it over the screen; false where it covers nothing.
    pub(super) fn draw(&self, marks: &[Mark], all: bool, to: &mut Buffer, area: Rect) -> bool {
        match self {
            Self::None | Self::Prompt(_) => false,
            Self::Help => {
                let rows = HELP.iter().map(|row| ((*row).to_owned(), false));
                cover(to, area, "keys (any key closes)", rows);
                true
            }
            Self::List(list) => {
                list.draw(marks, all, to, area);
                true
            }
        }
    }
}

impl Prompt {
    pub(super) fn key(&mut self, key: Key, chars_max: usize) -> Typed {
        match key {
            Key::Enter => return Typed::Chosen,
            Key::Escape => return Typed::Closed,
            Key::Backspace if self.text.is_empty() => return Typed::Closed,
            Key::Backspace => drop(self.text.pop()),
            Key::Char(c) if self.text.chars().count() < chars_max => self.text.push(c),
            Key::Char(_) | Key::Ctrl(_) | Key::Up | Key::Down | Key::Left | Key::Right => {}
            Key::PageUp | Key::PageDown | Key::Home | Key::End | Key::Other => {}
        }
        Typed::Open
    }
}

impl List {
    /// With the last moment before `at` chosen.
    pub(super) fn at(at: Duration, marks: &[Mark]) -> Self {
        let before = marks.partition_point(|mark| mark.at <= at);
        Self {
            filter: String::new(),
            chosen: before.saturating_sub(1),
        }
    }

    fn fitting<'a>(&self, marks: &'a [Mark]) -> impl Iterator<Item = &'a Mark> {
        let filter = self.filter.to_lowercase();
        marks
            .iter()
            .filter(move |mark| filter.is_empty() || mark.text.to_lowercase().contains(&filter))
    }

    pub(super) fn chosen<'a>(&self, marks: &'a [Mark]) -> Option<&'a Mark> {
        self.fitting(marks).nth(self.chosen)
    }

    pub(super) fn key(&mut self, key: Key, marks: &[Mark]) -> Typed {
        match key {
            Key::Enter => return Typed::Chosen,
            Key::Escape => return Typed::Closed,
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::PageUp => self.chosen = self.chosen.saturating_sub(PAGE),
            Key::Home => self.chosen = 0,
            Key::Down => self.chosen = self.chosen.saturating_add(1),
            Key::PageDown => self.chosen = self.chosen.saturating_add(PAGE),
            Key::End => self.chosen = usize::MAX,
            Key::Backspace => {
                self.filter.pop();
                self.chosen = 0;
            }
            Key::Char(c) if self.filter.chars().count() < FILTER_CHARS_MAX => {
                self.filter.push(c);
                self.chosen = 0;
            }
            Key::Char(_) | Key::Ctrl(_) | Key::Left | Key::Right | Key::Other => {}
        }
        let last = self.fitting(marks).count().saturating_sub(1);
        self.chosen = self.chosen.min(last);
        Typed::Open
    }

    fn draw(&self, marks: &[Mark], all: bool, to: &mut Buffer, area: Rect) {
        let rows = usize::from(area.height.saturating_sub(1)).max(1);
        let first = self.chosen.saturating_sub(rows / 2);
        let title = match (self.filter.is_empty(), all) {
            (false, _) => format!("fits `{}`", Shown(&self.filter)),
            (true, true) => "type to filter, Enter goes there, Esc closes".to_owned(),
            (true, false) => "reading... type to filter, Enter goes there".to_owned(),
        };
        let entries = self.fitting(marks).enumerate().skip(first).take(rows);
        let entries = entries.map(|(number, mark)| {
            let text = format!("{} {} {}", clock(mark.at), sign(mark.sort), mark.text);
            (text, number == self.chosen)
        });
        cover(to, area, &title, entries);
    }
}

/// What stands for a moment on the time line and in the list.
pub(super) fn sign(sort: Sort) -> char {
    match sort {
        Sort::Command => 'c',
        Sort::File => 'f',
        Sort::Alert => '!',
        Sort::Gap => '#',
    }
}

/// A title and rows over the whole of `area`; a chosen row is reversed.
fn cover(to: &mut Buffer, area: Rect, title: &str, rows: impl Iterator<Item = (String, bool)>) {
    let area = area.intersection(to.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = to.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
    let row = |y: u16| Rect {
        y: area.y.saturating_add(y),
        height: 1,
        ..area
    };
    let reversed = Style::default().add_modifier(Modifier::REVERSED);
    let titled = area.height > 1;
    if titled {
        to.set_style(row(0), reversed);
        put(to, row(0), title, reversed);
    }
    for (y, (text, chosen)) in (u16::from(titled)..area.height).zip(rows) {
        let style = if chosen { reversed } else { Style::default() };
        put(to, row(y), &text, style);
    }
}
