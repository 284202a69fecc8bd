//! What the person's terminal showed, drawn from the emulator's cells.

use super::paint::put;
use crate::event::is_dangerous;
use avt::parser::{Function, State};
use avt::{Cell, Color as Ink, Parser, Terminal};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use std::collections::BTreeMap;

/// The largest grid that is emulated: 2.4 MB a channel. A larger terminal is clipped to it.
pub(super) const COLS_MAX: usize = 500;
pub(super) const ROWS_MAX: usize = 200;
/// What a terminal of unknown size (0x0, RFC 4254 §6.2) is taken for.
pub(super) const COLS: usize = 80;
pub(super) const ROWS: usize = 24;
/// Screens kept at once; the one that was quiet for longest goes first.
const SCREENS_MAX: usize = 8;
/// Characters that one REP writes; programs use it within a row. Unbounded, eight bytes of output
/// are 65,535 characters of work.
const REPEAT_MAX: u16 = 1000;
/// LNM: a line feed also returns the carriage, as output without a terminal needs it.
const NEW_LINE_MODE: &str = "\x1b[20h";

/// Within the bounds of what is emulated.
pub(super) fn bounded(cols: u32, rows: u32) -> (usize, usize) {
    if cols == 0 || rows == 0 {
        return (COLS, ROWS);
    }
    let within = |n: u32, max: usize| usize::try_from(n).unwrap_or(max).min(max);
    (within(cols, COLS_MAX), within(rows, ROWS_MAX))
}

/// A terminal of that size; both are at least 1 by [`bounded`].
pub(super) fn terminal((cols, rows): (usize, usize)) -> Option<Terminal> {
    Terminal::new(cols, rows).ok()
}

/// A parsed function, without its power to make much work of few bytes.
pub(super) fn tame(function: Function) -> Function {
    if let Function::Rep(n) = function {
        return Function::Rep(n.min(REPEAT_MAX));
    }
    function
}

/// The screens of a session's channels; one is shown.
#[derive(Default)]
pub(super) struct Screens {
    by_channel: BTreeMap<u32, Screen>,
    shown: u32,
    turn: u64,
}

struct Screen {
    parser: Parser,
    terminal: Terminal,
    used: u64,
}

/// All that makes the screens what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    screens: Vec<SavedScreen>,
    shown: u32,
    turn: u64,
}

#[derive(Clone, Debug)]
struct SavedScreen {
    channel: u32,
    size: (usize, usize),
    dump: String,
    used: u64,
}

impl Saved {
    pub(super) fn bytes(&self) -> usize {
        let dumps = self.screens.iter().map(|screen| screen.dump.len());
        size_of::<Self>() + dumps.sum::<usize>() + self.screens.len() * size_of::<SavedScreen>()
    }
}

impl Screens {
    /// `None` in the midst of an escape sequence.
    pub(super) fn save(&self) -> Option<Saved> {
        let mut screens = Vec::new();
        for (&channel, screen) in &self.by_channel {
            if screen.parser.state != State::Ground {
                return None;
            }
            screens.push(SavedScreen {
                channel,
                size: screen.terminal.size(),
                dump: screen.terminal.dump(),
                used: screen.used,
            });
        }
        Some(Saved {
            screens,
            shown: self.shown,
            turn: self.turn,
        })
    }

    pub(super) fn restore(saved: &Saved) -> Self {
        let mut screens = Self::default();
        for saved in &saved.screens {
            screens.turn = saved.used;
            screens.insert(saved.channel, saved.size, &saved.dump);
        }
        screens.shown = saved.shown;
        screens.turn = saved.turn;
        screens
    }

    /// A terminal was asked for: the channel's screen is of that size from here.
    pub(super) fn open(&mut self, channel: u32, cols: u32, rows: u32) {
        self.by_channel.remove(&channel);
        self.insert(channel, bounded(cols, rows), "");
    }

    pub(super) fn resize(&mut self, channel: u32, cols: u32, rows: u32) {
        if let Some(screen) = self.by_channel.get_mut(&channel) {
            let (cols, rows) = bounded(cols, rows);
            screen.terminal.resize(cols, rows);
        }
    }

    pub(super) fn feed(&mut self, channel: u32, text: &str) {
        if !self.by_channel.contains_key(&channel) {
            self.insert(channel, (COLS, ROWS), NEW_LINE_MODE);
        }
        self.turn += 1;
        self.shown = channel;
        if let Some(screen) = self.by_channel.get_mut(&channel) {
            screen.used = self.turn;
            let Screen {
                parser, terminal, ..
            } = screen;
            terminal.execute(text.chars().filter_map(|c| parser.feed(c)).map(tame));
        }
    }

    fn insert(&mut self, channel: u32, size: (usize, usize), first: &str) {
        if self.by_channel.len() >= SCREENS_MAX {
            let oldest = self.by_channel.iter().min_by_key(|(_, screen)| screen.used);
            if let Some(oldest) = oldest.map(|(&channel, _)| channel) {
                self.by_channel.remove(&oldest);
            }
        }
        if let Some(mut terminal) = terminal(size) {
            terminal.feed(first);
            let used = self.turn;
            let parser = Parser::new();
            self.by_channel.insert(
                channel,
                Screen {
                    parser,
                    terminal,
                    used,
                },
            );
        }
        self.shown = channel;
    }

    pub(super) fn shown(&self) -> u32 {
        self.shown
    }

    /// Size of the terminal that is shown.
    pub(super) fn size(&self) -> Option<(usize, usize)> {
        Some(self.by_channel.get(&self.shown)?.terminal.size())
    }

    /// Draws as much as fits: the top left corner, or where that does not hold the cursor, the rows up
    /// to it. Gives the cursor if it is visible there.
    pub(super) fn draw(&self, buffer: &mut Buffer, area: Rect) -> Option<(u16, u16)> {
        let terminal = &self.by_channel.get(&self.shown)?.terminal;
        let below = (terminal.cursor().row + 1).saturating_sub(usize::from(area.height));
        let lines = terminal.screen().visible_lines().skip(below);
        for (y, line) in (area.top()..area.bottom()).zip(lines) {
            for (x, cell) in (area.left()..area.right()).zip(line.cells()) {
                draw_cell(buffer, (x, y), cell, area.right());
            }
        }
        let (col, row) = terminal.cursor().position()?;
        let x = area.left().checked_add(u16::try_from(col).ok()?)?;
        let y = area
            .top()
            .checked_add(u16::try_from(row.checked_sub(below)?).ok()?)?;
        (x < area.right() && y < area.bottom()).then_some((x, y))
    }
}

/// The one place where a recorded character comes near a terminal. A character that a terminal
/// obeys, or whose width we and the emulator see differently, is shown as U+FFFD.
fn draw_cell(buffer: &mut Buffer, at: (u16, u16), cell: &Cell, right: u16) {
    let Some(to) = buffer.cell_mut(at) else {
        return;
    };
    let style = style(cell);
    if cell.width() == 0 {
        to.set_symbol(" ").set_style(style);
        return;
    }
    let mut text = [0; 4];
    let text: &str = cell.char().encode_utf8(&mut text);
    let fits = u16::from(cell.width()) <= right.saturating_sub(at.0);
    let honest = !is_dangerous(cell.char()) && Span::raw(text).width() == usize::from(cell.width());
    match (honest, fits) {
        (true, true) => to.set_symbol(text).set_style(style),
        (true, false) => to.set_symbol(" ").set_style(style),
        (false, _) => to.set_symbol("\u{fffd}").set_style(style),
    };
}

fn style(cell: &Cell) -> Style {
    let pen = cell.pen();
    let mut modifier = Modifier::empty();
    for (set, this) in [
        (pen.is_bold(), Modifier::BOLD),
        (pen.is_faint(), Modifier::DIM),
        (pen.is_italic(), Modifier::ITALIC),
        (pen.is_underline(), Modifier::UNDERLINED),
        (pen.is_strikethrough(), Modifier::CROSSED_OUT),
        (pen.is_blink(), Modifier::SLOW_BLINK),
        (pen.is_inverse(), Modifier::REVERSED),
    ] {
        modifier.set(this, set);
    }
    Style::default()
        .fg(pen.foreground().map_or(Color::Reset, color))
        .bg(pen.background().map_or(Color::Reset, color))
        .add_modifier(modifier)
}

fn color(ink: Ink) -> Color {
    match ink {
        Ink::Indexed(index) => Color::Indexed(index),
        Ink::RGB(rgb) => Color::Rgb(rgb.r, rgb.g, rgb.b),
    }
}

/// A line of ours at the bottom, in reverse so that nobody takes it for a recorded one.
pub(super) fn draw_status(buffer: &mut Buffer, area: Rect, text: &str) {
    let style = Style::default().add_modifier(Modifier::REVERSED);
    buffer.set_style(area, style);
    put(buffer, area, text, style);
}
