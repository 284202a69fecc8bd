//! Is a full-screen program on the terminal? Looks for the three private modes that switch to the
//! alternate screen (xterm: 47, 1047, 1049) and back; a guess that only delays a notice.

const SEQUENCES: [(&[u8], bool); 6] = [
    (b"\x1b[?1049h", true),
    (b"\x1b[?1049l", false),
    (b"\x1b[?1047h", true),
    (b"\x1b[?1047l", false),
    (b"\x1b[?47h", true),
    (b"\x1b[?47l", false),
];
const LONGEST: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct AltScreen {
    on: bool,
    /// The sequence that may have begun at the end of the last piece.
    partial: Vec<u8>,
}

impl AltScreen {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.partial.is_empty() && !bytes.contains(&0x1b) {
            return;
        }
        let mut text = std::mem::take(&mut self.partial);
        text.extend_from_slice(bytes);
        let mut rest = text.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == 0x1b) {
            rest = rest.get(at..).unwrap_or_default();
            if let Some((_, on)) = SEQUENCES.iter().find(|(seq, _)| rest.starts_with(seq)) {
                self.on = *on;
            } else if rest.len() < LONGEST && SEQUENCES.iter().any(|(seq, _)| seq.starts_with(rest))
            {
                self.partial = rest.to_vec();
                return;
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_seen_however_they_are_cut() {
        let text = b"ab\x1b[1mx\x1b[?1049hvim\x1b[?25l";
        for cut in 0..text.len() {
            let mut screen = AltScreen::default();
            screen.feed(&text[..cut]);
            screen.feed(&text[cut..]);
            assert!(screen.is_on(), "cut at {cut}");
            screen.feed(b"\x1b[?10");
            screen.feed(b"49l$ ");
            assert!(!screen.is_on());
            assert!(screen.partial.len() < LONGEST);
        }
    }
}
