//! The lines at the bottom: where in the session one is, and what the player does.

use super::core::{Goal, Player};
use super::over::sign;
use crate::replay::emulated::clock;
use crate::replay::marks::Sort;
use crate::replay::screen::draw_status;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

/// Below this the words become signs.
const NARROW_COLS: u16 = 50;

/// Rows of a window that are ours.
pub(super) fn rows(height: u16) -> u16 {
    match height {
        0 => 0,
        1..=3 => 1,
        4.. => 2,
    }
}

pub(super) fn draw(player: &Player, to: &mut Buffer, screen: Rect, bottom: Rect) {
    let row = |n: u16| Rect {
        y: bottom.y.saturating_add(n),
        height: 1,
        ..bottom
    };
    let text = match bottom.width < NARROW_COLS {
        true => narrow(player),
        false => wide(player, screen),
    };
    if bottom.height > 1 {
        draw_status(to, row(0), &line(player, bottom.width));
        draw_status(to, row(1), &text);
    } else if bottom.height == 1 {
        draw_status(to, row(0), &text);
    }
}

/// The whole of the session from left to right, with its moments and where we are.
fn line(player: &Player, cols: u16) -> String {
    let cols = usize::from(cols);
    let total = total(player);
    let column = |at: Duration| {
        let part = at.as_secs_f64() / total.as_secs_f64().max(0.001);
        // From 0 to below `cols`: a fraction of a width of at most 500.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the width of a window"
        )]
        let column = (part.clamp(0.0, 1.0) * cols.saturating_sub(1) as f64).round() as usize;
        column
    };
    let mut line = vec!['-'; cols];
    let rank = |c: char| ['-', 'c', 'f', '!', '#'].iter().position(|one| *one == c);
    for mark in &player.marks {
        if let Some(cell) = line.get_mut(column(mark.at)) {
            let sign = sign(mark.sort);
            if rank(sign) > rank(*cell) {
                *cell = sign;
            }
        }
    }
    if let Some(cell) = line.get_mut(column(player.at)) {
        *cell = '|';
    }
    line.into_iter().collect()
}

fn total(player: &Player) -> Duration {
    let last = player.marks.last().map(|mark| mark.at).unwrap_or_default();
    let total = player.settings.total.unwrap_or(last);
    total.max(player.at)
}

/// Legible at 20 columns.
fn narrow(player: &Player) -> String {
    if let Some(text) = player.over.question().or_else(|| player.message.clone()) {
        return text;
    }
    let state = match state(player) {
        "end" => '.',
        "live" => '*',
        "paused" => '=',
        "seeking" => '~',
        _ => '>',
    };
    let mut text = format!("{state} {}", clock(player.at));
    if let Some(total) = player.settings.total {
        text += &format!("/{}", clock(total));
    }
    if player.stage.damage.is_some() || player.stage.skipped > 0 || player.rough.is_some() {
        text += " !";
    }
    text
}

fn wide(player: &Player, screen: Rect) -> String {
    if let Some(question) = player.over.question() {
        return format!(" {question}");
    }
    let mut text = format!(" {} {}", state(player), clock(player.at));
    if let Some(total) = player.settings.total {
        text += &format!(" / {}", clock(total));
    }
    if let Some(message) = &player.message {
        return text + &format!("  {message}");
    }
    if player.settings.speed != 1.0 {
        text += &format!("  {}x", player.settings.speed);
    }
    if player.rough.is_some() {
        text += "  the screen may be wrong until all before is read";
    }
    if player.stage.skipped > 0 {
        text += &format!(
            "  skipped {} bytes: too slow for them",
            player.stage.skipped
        );
    }
    if let Some(damage) = &player.stage.damage {
        text += &format!("  DAMAGED: {damage}");
    }
    let clipped = player.stage.screens.size().filter(|(cols, rows)| {
        *cols > usize::from(screen.width) || *rows > usize::from(screen.height)
    });
    if let Some((cols, rows)) = clipped {
        let (width, height) = (screen.width, screen.height);
        text += &format!("  clipped: {cols}x{rows} shown as {width}x{height}");
    }
    if player.stage.screens.shown() > 0 {
        text += &format!("  channel {}", player.stage.screens.shown());
    }
    if let Some(search) = &player.search {
        let (more, n) = (if search.done { "" } else { "+" }, search.hits.len());
        text += &format!("  `{}`: {n}{more} hits", search.needle);
    }
    let commands = player
        .marks
        .iter()
        .filter(|mark| mark.sort == Sort::Command);
    let n = commands.count();
    if n > 0 {
        text += &format!("  {n} commands");
    }
    text + "  ? help, q quit"
}

fn state(player: &Player) -> &'static str {
    match (player.ended, player.paused, player.goal) {
        (true, _, _) => "end",
        (false, true, _) => "paused",
        (false, false, Goal::Live) => "live",
        (false, false, Goal::At(_)) => "seeking",
        (false, false, Goal::Play | Goal::Step) => "playing",
    }
}
