//! What stands on the screens at a moment.

use super::event::{Act, Event};
use super::frames::Keyframe;
use crate::replay::screen::Screens;

/// Text after which a picture of the screens is kept: an emulator cannot run backwards.
const FRAME_BYTES: usize = 1024 * 1024; // 1 MiB

#[derive(Default)]
pub(super) struct Stage {
    pub(super) screens: Screens,
    pub(super) damage: Option<String>,
    /// Bytes that this viewer did not get.
    pub(super) skipped: u64,
    fed: usize,
}

impl Stage {
    pub(super) fn at(frame: &Keyframe) -> Self {
        Self {
            screens: Screens::restore(&frame.screens),
            damage: frame.damage.clone(),
            skipped: 0,
            fed: 0,
        }
    }

    pub(super) fn apply(&mut self, event: Event) {
        let Event { channel, act, .. } = event;
        match act {
            Act::Text(text) => {
                self.fed += text.len();
                self.screens.feed(channel, &text);
            }
            Act::Open { cols, rows } => self.screens.open(channel, cols, rows),
            Act::Resize { cols, rows } => self.screens.resize(channel, cols, rows),
            Act::Damage(message) => self.damage = Some(message),
            Act::Skipped(bytes) => self.skipped = self.skipped.saturating_add(bytes),
            Act::Nothing => {}
        }
    }

    /// The picture before `next`, if one is due.
    pub(super) fn due(&mut self, next: &Event) -> Option<Keyframe> {
        (self.fed >= FRAME_BYTES)
            .then(|| self.frame(next))
            .flatten()
    }

    /// The picture before `next`; none in the midst of an escape sequence.
    pub(super) fn frame(&mut self, next: &Event) -> Option<Keyframe> {
        let frame = Keyframe {
            at: next.at,
            place: next.place,
            screens: self.screens.save()?,
            damage: self.damage.clone(),
        };
        self.fed = 0;
        Some(frame)
    }
}
