//! The player's state, and how events and time change it.

use super::bar;
use super::event::{Act, Event, LIVE};
use super::find::Hits;
use super::frames::{Exact, Frames};
use super::over::Over;
use super::stage::Stage;
use crate::replay::marks::Mark;
use crate::replay::open::Place;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

const SPEED_MIN: f64 = 0.125;
const SPEED_MAX: f64 = 64.0;
/// A picture at most this often while recorded time flies.
const FRAME: Duration = Duration::from_millis(100);

/// What somebody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub speed: f64,
    pub max_idle: Option<Duration>,
    /// Where to start; [`Duration::MAX`] is the end.
    pub at: Duration,
    /// Length of the recording, if it is known.
    pub total: Option<Duration>,
}

/// What the player needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The next event, through [`Player::supply`].
    Event,
    /// To be somewhere else: [`Player::fly`] after the recording stands at `from`, or
    /// [`Player::fly_roughly`].
    Jump(Jump),
    /// Time to pass, then [`Player::pass`] with how much did; a key may come before.
    Wait(Duration),
    /// A key; nothing happens until one comes.
    Key,
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    pub to: Duration,
    /// Where reading begins.
    pub from: Place,
    /// It goes on where it is: nothing is read again.
    pub is_here: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    Play,
    At(Duration),
    /// One more picture.
    Step,
    /// Whatever comes, as it comes.
    Live,
}

/// What is looked for, and where it was found so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) needle: String,
    pub(super) hits: Vec<Duration>,
    pub(super) done: bool,
    /// Nobody looks for it yet.
    pub(super) is_new: bool,
    /// The first hit after this moment is gone to when it comes.
    pub(super) waits_from: Option<Duration>,
}

pub struct Player {
    pub(super) stage: Stage,
    pub(super) settings: Settings,
    pub(super) at: Duration,
    next: Option<Event>,
    /// Of the last event that came.
    here: Place,
    pub(super) ended: bool,
    pub(super) paused: bool,
    pub(super) quit: bool,
    pub(super) goal: Goal,
    jump: Option<Jump>,
    frames: Frames,
    pub(super) marks: Vec<Mark>,
    /// All marks are there.
    pub(super) surveyed: bool,
    /// What stands on the screen began in the middle of the recording, here.
    pub(super) rough: Option<Place>,
    pub(super) search: Option<Search>,
    pub(super) over: Over,
    pub(super) message: Option<String>,
}

impl Player {
    pub fn new(settings: Settings) -> Self {
        let speed = match settings.speed.is_finite() {
            true => settings.speed.clamp(SPEED_MIN, SPEED_MAX),
            false => 1.0,
        };
        let mut player = Self {
            stage: Stage::default(),
            settings: Settings { speed, ..settings },
            at: Duration::ZERO,
            next: None,
            here: Place::default(),
            ended: false,
            paused: false,
            quit: false,
            goal: Goal::Play,
            jump: None,
            frames: Frames::default(),
            marks: Vec::new(),
            surveyed: false,
            rough: None,
            search: None,
            over: Over::None,
            message: None,
        };
        if !settings.at.is_zero() {
            player.go(settings.at);
        }
        player
    }

    pub fn want(&self) -> Want {
        if self.quit {
            return Want::Quit;
        }
        if let Some(jump) = self.jump {
            return Want::Jump(jump);
        }
        match &self.next {
            None if self.ended || (self.paused && self.goal == Goal::Live) => Want::Key,
            None => Want::Event,
            Some(_) if self.paused && self.goal == Goal::Play => Want::Key,
            Some(next) => {
                let left = next.at.saturating_sub(self.at);
                Want::Wait(left.div_f64(self.settings.speed).min(FRAME))
            }
        }
    }

    /// Whether a picture is worth drawing now: not while it is on its way somewhere else.
    pub fn settled(&self) -> bool {
        matches!(self.goal, Goal::Play | Goal::Live) && self.jump.is_none()
    }

    /// Position in the recording.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// The next event, or the end of the recording.
    pub fn supply(&mut self, event: Option<Event>) {
        match event {
            None => {
                self.ended = true;
                self.goal = Goal::Play;
                self.at = self.at.max(self.settings.total.unwrap_or_default());
            }
            Some(event) => {
                if let (Some(max), Goal::Play) = (self.settings.max_idle, self.goal) {
                    self.at = self.at.max(event.at.saturating_sub(max));
                }
                self.here = event.place;
                self.next = Some(event);
                self.advance();
            }
        }
    }

    /// That much real time passed.
    pub fn pass(&mut self, elapsed: Duration) {
        if !self.paused && self.goal == Goal::Play {
            let recorded = elapsed
                .min(Duration::from_secs(3600))
                .mul_f64(self.settings.speed);
            let until = self.next.as_ref().map_or(self.at, |next| next.at);
            self.at = self.at.saturating_add(recorded).min(until.max(self.at));
            self.advance();
        }
    }

    /// What is recorded is read: from here on it is what happens.
    pub fn join_live(&mut self) {
        if matches!(self.goal, Goal::At(Duration::MAX)) {
            self.goal = Goal::Live;
        }
    }

    /// The recording stands where the jump wants it.
    pub fn fly(&mut self) {
        let Some(jump) = self.jump.take() else {
            return;
        };
        self.goal = Goal::At(jump.to);
        if !jump.is_here {
            self.rough = None;
            self.begin(jump.from);
        }
        self.advance();
    }

    /// The recording stands somewhere before the goal: what is on the screen may be wrong until
    /// [`Player::learn`] brings the exact picture of that place. `sizes` are events that say how large
    /// the terminals are.
    pub fn fly_roughly(&mut self, from: Place, sizes: Vec<Event>) {
        let Some(jump) = self.jump.take() else {
            return;
        };
        self.goal = Goal::At(jump.to);
        self.begin(Place::default());
        self.rough = Some(from);
        for event in sizes {
            self.stage.apply(event);
        }
    }

    fn begin(&mut self, from: Place) {
        let frame = self.frames.at(from);
        self.at = frame.map_or(Duration::ZERO, |frame| frame.at);
        let skipped = self.stage.skipped;
        self.stage = frame.map(Stage::at).unwrap_or_default();
        self.stage.skipped = skipped;
        self.here = from;
        self.next = None;
        self.ended = false;
    }

    /// An exact picture of a place.
    pub fn learn(&mut self, exact: Exact) {
        let place = exact.frame.place;
        self.frames.keep(exact.frame);
        if exact.is_last && self.rough.is_some_and(|rough| rough <= place) {
            let to = match self.goal {
                Goal::Live => Duration::MAX,
                Goal::At(to) => to,
                Goal::Play | Goal::Step => self.at,
            };
            self.jump = Some(Jump {
                to,
                from: place,
                is_here: false,
            });
        }
    }

    /// Where the exact picture of a place is made from.
    pub fn frame_before(&self, place: Place) -> Option<super::Keyframe> {
        self.frames.until(place).cloned()
    }

    /// Moments that somebody may want to go to, as they are found; `all` when these are the last.
    pub fn know(&mut self, marks: Vec<Mark>, all: bool) {
        self.surveyed |= all;
        let is_sorted = marks.is_empty();
        self.marks.extend(marks);
        if !is_sorted {
            self.marks.sort_by_key(|mark| mark.at);
        }
    }

    /// What somebody wants to be looked for, once.
    pub fn wanted(&mut self) -> Option<String> {
        let search = self.search.as_mut()?;
        std::mem::take(&mut search.is_new).then(|| search.needle.clone())
    }

    /// Where it is.
    pub fn found(&mut self, hits: Hits) {
        let Some(search) = &mut self.search else {
            return;
        };
        search.hits.extend(hits.at);
        search.done |= hits.done;
        let Some(from) = search.waits_from else {
            return;
        };
        if let Some(hit) = search.hits.iter().find(|hit| **hit >= from).copied() {
            search.waits_from = None;
            self.go(hit);
        } else if search.done {
            search.waits_from = None;
            self.message = Some(match search.hits.is_empty() {
                true => format!("`{}` was not shown", search.needle),
                false => format!("`{}` is not shown after this: N goes back", search.needle),
            });
        }
    }

    pub(super) fn set_speed(&mut self, by: f64) {
        self.settings.speed = (self.settings.speed * by).clamp(SPEED_MIN, SPEED_MAX);
    }

    pub(super) fn step(&mut self) {
        self.paused = true;
        if !self.ended {
            self.goal = Goal::Step;
            self.advance();
        }
    }

    /// There is no way back but from a picture that was kept: an emulator cannot run backwards.
    pub(super) fn go(&mut self, to: Duration) {
        let is_forward = to >= self.at;
        if is_forward && self.ended {
            return;
        }
        let frame = self.frames.before(to).map(|frame| frame.place);
        let is_here = is_forward && frame.is_none_or(|frame| frame <= self.here);
        let from = match is_here {
            true => self.here,
            false => frame.unwrap_or_default(),
        };
        self.jump = Some(Jump { to, from, is_here });
    }

    /// Applies the waiting event if its time has come.
    fn advance(&mut self) {
        let Some(next) = self.next.take() else {
            return;
        };
        let due = match self.goal {
            Goal::Play => !self.paused && next.at <= self.at,
            Goal::At(goal) => next.at <= goal,
            Goal::Step | Goal::Live => true,
        };
        if !due {
            if let Goal::At(goal) = self.goal {
                self.at = goal;
                self.goal = Goal::Play;
            }
            self.next = Some(next);
            return;
        }
        if self.rough.is_none()
            && next.place.seq != LIVE
            && let Some(frame) = self.stage.due(&next)
        {
            self.frames.keep(frame);
        }
        self.at = self.at.max(next.at);
        let seen = matches!(next.act, Act::Text(_) | Act::Resize { .. });
        self.stage.apply(next);
        if self.goal == Goal::Step && seen {
            self.goal = Goal::Play;
        }
    }

    /// The picture for a window, and where its cursor is.
    pub fn draw(&self, window: Rect) -> (Buffer, Option<(u16, u16)>) {
        let mut buffer = Buffer::empty(window);
        let ours = bar::rows(window.height);
        let screen = Rect {
            height: window.height.saturating_sub(ours),
            ..window
        };
        let cursor = self.stage.screens.draw(&mut buffer, screen);
        let bottom = Rect {
            y: screen.bottom(),
            height: window.height - screen.height,
            ..window
        };
        bar::draw(self, &mut buffer, screen, bottom);
        match self
            .over
            .draw(&self.marks, self.surveyed, &mut buffer, screen)
        {
            true => (buffer, None),
            false => (buffer, cursor),
        }
    }
}
