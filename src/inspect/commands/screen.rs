//! The person's terminal, emulated: where the cursor is, and what stands in which row.

use avt::parser::Function;
use avt::{Anchor, Line, Parser, Position, ScreenKind, Terminal};
use unicode_width::UnicodeWidthChar;

/// The largest grid that is emulated; a larger terminal is clipped to it.
const COLS_MAX: u32 = 500;
const ROWS_MAX: u32 = 200;
/// What a terminal of unknown size (0x0, RFC 4254 §6.2) is taken for.
const COLS: usize = 80;
const ROWS: usize = 24;
/// Rows that have scrolled away and can still be read: a long command, or one before `clear`.
const HISTORY: usize = 100;
/// Characters that one REP writes: eight bytes must not be 65,535 characters of work.
const REPEAT_MAX: u16 = 1000;

pub(super) struct Screen {
    parser: Parser,
    terminal: Terminal,
}

/// A row: 0 is the first that is visible, negative ones have scrolled away.
pub(super) type Row = isize;

impl Screen {
    /// `None` never happens: both sizes are at least 1. The emulator only says so by its type.
    pub(super) fn new(cols: u32, rows: u32) -> Option<Self> {
        let (cols, rows) = bounded(cols, rows);
        Some(Self {
            parser: Parser::new(),
            terminal: Terminal::with_scrollback(cols, rows, Some(HISTORY)).ok()?,
        })
    }

    pub(super) fn resize(&mut self, cols: u32, rows: u32) {
        let (cols, rows) = bounded(cols, rows);
        self.terminal.resize(cols, rows);
    }

    /// What this character makes the terminal do, if it completes something.
    pub(super) fn parse(&mut self, c: char) -> Option<Function> {
        let function = self.parser.feed(c)?;
        if let Function::Rep(n) = function {
            return Some(Function::Rep(n.min(REPEAT_MAX)));
        }
        // Combining characters take no cell of their own: the shells count so, too.
        let is_combining = |c: char| !c.is_ascii() && c.width() == Some(0);
        if let Function::Print(c) = function
            && is_combining(c)
        {
            return None;
        }
        Some(function)
    }

    pub(super) fn execute(&mut self, function: Function) {
        self.terminal.execute(function);
    }

    pub(super) fn is_alternate(&self) -> bool {
        self.terminal.active_screen_kind() == ScreenKind::Alternate
    }

    pub(super) fn cursor(&self) -> (usize, Row) {
        let at = self.terminal.cursor_position();
        (at.col, at.row)
    }

    pub(super) fn anchor(&mut self) -> Anchor {
        self.terminal.anchor_at_cursor()
    }

    /// Where the anchor is now, on the screen that is shown.
    pub(super) fn resolve(&self, anchor: &Anchor) -> Option<(usize, Row)> {
        let at = self.terminal.resolve(anchor)?;
        (at.screen == self.terminal.active_screen_kind()).then_some((at.col, at.row))
    }

    /// The logical line of the cursor, cut where the cursor is.
    pub(super) fn around_cursor(&self) -> (String, String) {
        let (col, row) = self.cursor();
        let first = self.logical_start(row);
        let mut left = String::new();
        for before in first..row {
            push_cells(&mut left, self.line(before), 0, usize::MAX);
        }
        push_cells(&mut left, self.line(row), 0, col);
        let mut right = String::new();
        push_cells(&mut right, self.line(row), col, usize::MAX);
        (left, right)
    }

    /// Text from a cell to the end of a row, one string a logical line, ends trimmed.
    pub(super) fn text(&self, (col, from): (usize, Row), to: Row) -> Vec<String> {
        let mut lines = Vec::new();
        let mut current = String::new();
        let cols = self.terminal.size().0;
        for row in from..=to {
            let Some(line) = self.line(row) else { continue };
            push_cells(
                &mut current,
                Some(line),
                if row == from { col } else { 0 },
                usize::MAX,
            );
            // Programs that repaint rows set no wrap flag; a row that is full goes on.
            let is_full = line
                .cells()
                .get(cols.saturating_sub(1))
                .is_some_and(|cell| cell.char() != ' ' || cell.width() == 0);
            if row == to || !(line.is_wrapped() || is_full) {
                current.truncate(current.trim_end().len());
                lines.push(std::mem::take(&mut current));
            }
        }
        lines
    }

    /// The first row of the logical line that this row is part of.
    pub(super) fn logical_start(&self, row: Row) -> Row {
        let mut first = row;
        while self.line(first - 1).is_some_and(Line::is_wrapped) {
            first -= 1;
        }
        first
    }

    fn line(&self, row: Row) -> Option<&Line> {
        let screen = self.terminal.screen();
        if let Ok(row) = usize::try_from(row) {
            return screen.line(row);
        }
        let all = screen.all_lines().count();
        let history = all.checked_sub(screen.visible_lines().len())?;
        screen.all_lines().nth(history.checked_add_signed(row)?)
    }

    /// The column that a position in the text of a logical line has, and its row.
    pub(super) fn locate(&self, first: Row, characters: usize) -> Option<(usize, Row)> {
        let mut left = characters;
        let mut row = first;
        loop {
            let line = self.line(row)?;
            for (col, cell) in line.cells().iter().enumerate() {
                if cell.width() == 0 {
                    continue;
                }
                if left == 0 {
                    return Some((col, row));
                }
                left -= 1;
            }
            if !line.is_wrapped() {
                return (left == 0).then_some((line.len(), row));
            }
            row += 1;
        }
    }

    pub(super) fn anchor_at(&mut self, (col, row): (usize, Row)) -> Option<Anchor> {
        let screen = self.terminal.active_screen_kind();
        self.terminal.anchor_at(Position { screen, col, row })
    }
}

fn bounded(cols: u32, rows: u32) -> (usize, usize) {
    if cols == 0 || rows == 0 {
        return (COLS, ROWS);
    }
    let within = |n: u32, max: u32| usize::try_from(n.min(max)).unwrap_or(1);
    (within(cols, COLS_MAX), within(rows, ROWS_MAX))
}

fn push_cells(text: &mut String, line: Option<&Line>, from: usize, to: usize) {
    let Some(line) = line else { return };
    let cells = line.cells().iter().take(to).skip(from);
    text.extend(cells.filter(|cell| cell.width() > 0).map(avt::Cell::char));
}
