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

/// Declarations for a `style`; empty for plain text. Digits, letters and our own words alone.
pub(super) fn style(pen: &Pen) -> String {
    let mut style = String::new();
    let (mut ink, mut paper) = (pen.foreground().map(rgb), pen.background().map(rgb));
    if pen.is_inverse() {
        (ink, paper) = (Some(paper.unwrap_or(PAPER)), Some(ink.unwrap_or(INK)));
    }
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

    #[test]
    fn colours_are_those_of_xterm() {
        assert_eq!(rgb(Color::Indexed(1)), 0xcd_3131);
        assert_eq!(rgb(Color::Indexed(16)), 0);
        assert_eq!(rgb(Color::Indexed(196)), 0xff_0000);
        assert_eq!(rgb(Color::Indexed(231)), 0xff_ffff);
        assert_eq!(rgb(Color::Indexed(255)), 0xee_eeee);
    }
}
