//! Cells to terminal bytes: crossterm's commands and printable text, nothing else.

use crate::event::Shown;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::io;

/// The largest window that is drawn: what a client says of its size is not to be trusted.
const COLS_MAX: u16 = 500;
const ROWS_MAX: u16 = 200;
/// What a window of unknown size (0x0) is taken for.
const COLS: u16 = 80;
const ROWS: u16 = 24;

/// The part of somebody's window that is drawn.
pub fn viewer_size((cols, rows): (u16, u16)) -> Rect {
    if cols == 0 || rows == 0 {
        return Rect::new(0, 0, COLS, ROWS);
    }
    Rect::new(0, 0, cols.min(COLS_MAX), rows.min(ROWS_MAX))
}

/// Writes foreign text into the first row of `area`, controls shown, cut at its right end.
pub fn put(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if !area.is_empty() {
        let text = Shown(text).to_string();
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    }
}

/// Remembers what it drew and writes only the difference.
#[derive(Default)]
pub struct Painter {
    last: Option<Buffer>,
}

impl Painter {
    /// A screen of our own, so that the person's is as before when we are gone.
    pub fn enter() -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        queue!(bytes, EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        Ok(bytes)
    }

    pub fn leave() -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        queue!(bytes, ResetColor, Show, LeaveAlternateScreen)?;
        Ok(bytes)
    }

    /// What brings the terminal from the last picture to this one.
    pub fn paint(&mut self, next: Buffer, cursor: Option<(u16, u16)>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let last = match self.last.take().filter(|last| last.area == next.area) {
            Some(last) => last,
            None => {
                queue!(bytes, Clear(ClearType::All))?;
                Buffer::empty(next.area)
            }
        };
        let changed = last.diff(&next);
        if !changed.is_empty() {
            CrosstermBackend::new(&mut bytes).draw(changed.into_iter())?;
        }
        match cursor {
            Some((x, y)) => queue!(bytes, MoveTo(x, y), Show)?,
            None => queue!(bytes, Hide)?,
        }
        self.last = Some(next);
        Ok(bytes)
    }
}
