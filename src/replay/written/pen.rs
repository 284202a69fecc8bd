//! How a cell looked, as the words of a style sheet.

use avt::{Color, Pen};
use std::fmt::Write;

/// The sixteen colours as most terminals draw them on a dark ground.
const BASE: [u32; 16] = [
    0x00_0000, 0xcd_3131, 0x0d_bc79, 0xe5_e510, 0x24_72c8, 0xbc_3fbc, 0x11_a8cd, 0xe5_e5e5,
    0x66_6666, 0xf1_4c4c, 0x23_d18b, 0xf5_f543, 0x3b_8eea, 0xd6_70d6, 0x29_b8db, 0xff_ffff,
];
const INK: u32 = 0xd4_d4d4;
const PAPER: u32 = 0x1e_1e1e;

/// Ink that differs less from its paper is read by nobody (WCAG 2.2 asks for 4.5; black on the
/// paper of a page, which is seen, has 1.26).
const CONTRAST_MIN: f64 = 1.2;
/// How a page shows what a terminal shows faint.
const FAINT: f64 = 0.6;

pub(super) enum Look {
    /// Declarations for a `style`; empty for plain text. Digits, letters and our own words alone.
    Style(String),
    /// Its ink is its paper.
    Hidden,
}

pub(super) fn look(pen: &Pen) -> Look {
    let (mut ink, mut paper) = (pen.foreground().map(rgb), pen.background().map(rgb));
    if pen.is_inverse() {
        (ink, paper) = (Some(paper.unwrap_or(PAPER)), Some(ink.unwrap_or(INK)));
    }
    let (drawn, under) = (ink.unwrap_or(INK), paper.unwrap_or(PAPER));
    let weight = if pen.is_faint() { FAINT } else { 1.0 };
    if contrast(drawn, under, weight) < CONTRAST_MIN {
        return Look::Hidden;
    }
    Look::Style(style(pen, ink, paper))
}

/// Of ink that covers its paper by so much (WCAG 2.2, "contrast ratio").
fn contrast(ink: u32, paper: u32, weight: f64) -> f64 {
    let part = |color: u32, shift: u32| f64::from(color >> shift & 0xff) / 255.0;
    let light = |value: f64| match value <= 0.04045 {
        true => value / 12.92,
        false => ((value + 0.055) / 1.055).powf(2.4),
    };
    let luminance = |weight: f64| {
        let of = |shift, share: f64| {
            let value = part(ink, shift) * weight + part(paper, shift) * (1.0 - weight);
            light(value) * share
        };
        of(16, 0.2126) + of(8, 0.7152) + of(0, 0.0722) + 0.05
    };
    let (ink, paper) = (luminance(weight), luminance(0.0));
    ink.max(paper) / ink.min(paper)
}

fn style(pen: &Pen, ink: Option<u32>, paper: Option<u32>) -> String {
    let mut style = String::new();
    for (name, color) in [("color", ink), ("background", paper)] {
        if let Some(color) = color {
            write!(style, "{name}:#{color:06x};").unwrap_or_default();
        }
    }
    let line = match (pen.is_underline(), pen.is_strikethrough()) {
        (true, true) => "text-decoration:underline line-through;",
        (true, false) => "text-decoration:underline;",
        (false, true) => "text-decoration:line-through;",
        (false, false) => "",
    };
    style.push_str(line);
    for (set, words) in [
        (pen.is_bold(), "font-weight:bold;"),
        (pen.is_faint(), "opacity:.6;"),
        (pen.is_italic(), "font-style:italic;"),
    ] {
        if set {
            style.push_str(words);
        }
    }
    style
}

/// xterm's 256 colours: sixteen, a cube of six, a ramp of grey.
fn rgb(color: Color) -> u32 {
    let n = match color {
        Color::RGB(rgb) => {
            return u32::from(rgb.r) << 16 | u32::from(rgb.g) << 8 | u32::from(rgb.b);
        }
        Color::Indexed(n) => n,
    };
    let step = |n: u8| match n {
        0 => 0,
        n => 55 + 40 * u32::from(n),
    };
    match n {
        0..=15 => BASE.get(usize::from(n)).copied().unwrap_or(INK),
        16..=231 => {
            let n = n - 16;
            step(n / 36) << 16 | step(n / 6 % 6) << 8 | step(n % 6)
        }
        232..=255 => (8 + 10 * u32::from(n - 232)) * 0x01_0101,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_hidden(text: &str) -> bool {
        let mut terminal = avt::Terminal::new(20, 2).unwrap();
        terminal.feed(text);
        let row = terminal.screen().line(0).unwrap();
        let pen = row.cells().first().map(|cell| *cell.pen()).unwrap();
        matches!(look(&pen), Look::Hidden)
    }

    #[test]
    fn ink_that_is_its_paper_is_hidden_however_it_is_made() {
        for hidden in [
            "\x1b[38;2;30;30;30mx",
            "\x1b[38;2;33;30;30mx",
            "\x1b[31;41mx",
            "\x1b[37;47;7mx",
            "\x1b[38;5;16;40mx",
            "\x1b[2;38;2;40;40;40mx",
            "\x1b[48;2;212;212;212mx",
        ] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        // What programs use: dark blue on black, grey, black on the page's paper, all inverse.
        for seen in [
            "x",
            "\x1b[34;40mx",
            "\x1b[90mx",
            "\x1b[30mx",
            "\x1b[7mx",
            "\x1b[2mx",
            "\x1b[34mx",
        ] {
            assert!(!is_hidden(seen), "{seen:?}");
        }
    }

    #[test]
    fn colours_are_those_of_xterm() {
        assert_eq!(rgb(Color::Indexed(1)), 0xcd_3131);
        assert_eq!(rgb(Color::Indexed(16)), 0);
        assert_eq!(rgb(Color::Indexed(196)), 0xff_0000);
        assert_eq!(rgb(Color::Indexed(231)), 0xff_ffff);
        assert_eq!(rgb(Color::Indexed(255)), 0xee_eeee);
    }
}
