//! `ssh bastion` with a terminal: the targets I may reach; type to filter, Enter connects.

use super::answer::{Fault, finish, line_end};
use super::window::{Moment, Window};
use crate::access::{Caller, Desk, Target};
use crate::event::{Shown, is_dangerous};
use crate::id::Login;
use crate::identity::Identity;
use crate::proxy::{Call, Choice as Chosen, VerbEnd};
use crate::replay::{Key, Keys, put};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// Characters of a filter; a host name is at most 253.
const FILTER_CHARS_MAX: usize = 256;
/// Rows that PageUp and PageDown move by.
const PAGE: usize = 10;

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub target: String,
    pub login: Login,
}

/// What the console wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Redraw,
    /// Connect to the choice of this index.
    Connect(usize),
    Quit,
}

/// The console: pure, bytes in, actions out.
pub struct ConsoleState {
    choices: Vec<Choice>,
    keys: Keys,
    filter: String,
    /// Indexes of the choices that the filter leaves.
    left: Vec<usize>,
    selected: usize,
}

impl ConsoleState {
    pub fn new(choices: Vec<Choice>) -> Self {
        let left = (0..choices.len()).collect();
        Self {
            choices,
            keys: Keys::default(),
            filter: String::new(),
            left,
            selected: 0,
        }
    }

    fn key(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Ctrl('c' | 'd') | Key::Escape => return Some(Action::Quit),
            Key::Char('q') if self.filter.is_empty() => return Some(Action::Quit),
            Key::Enter => return self.left.get(self.selected).copied().map(Action::Connect),
            Key::Char(c) => {
                if is_dangerous(c) || self.filter.chars().count() >= FILTER_CHARS_MAX {
                    return None;
                }
                self.filter.push(c);
                self.refilter();
            }
            Key::Backspace => {
                self.filter.pop();
                self.refilter();
            }
            Key::Ctrl('u') => {
                self.filter.clear();
                self.refilter();
            }
            Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Down => self.go_down(1),
            Key::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            Key::PageDown => self.go_down(PAGE),
            Key::Home => self.selected = 0,
            Key::End => self.go_down(self.left.len()),
            Key::Ctrl(_) | Key::Left | Key::Right | Key::Other => return None,
        }
        Some(Action::Redraw)
    }

    fn go_down(&mut self, by: usize) {
        self.selected = (self.selected + by).min(self.left.len().saturating_sub(1));
    }

    /// Every word of the filter is in the line; a number alone also selects the line it numbers.
    fn refilter(&mut self) {
        let words: Vec<String> = self
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let number: Option<usize> = self.filter.trim().parse().ok();
        self.left = (0..self.choices.len())
            .filter(|&index| {
                let Some(choice) = self.choices.get(index) else {
                    return false;
                };
                let line = format!("{}@{}", choice.login, choice.target).to_lowercase();
                number == Some(index + 1) || words.iter().all(|word| line.contains(word))
            })
            .collect();
        let numbered =
            number.and_then(|number| self.left.iter().position(|&one| one + 1 == number));
        self.selected = numbered.unwrap_or(0);
    }

    /// The picture for a window.
    pub fn draw(&self, area: Rect) -> (Buffer, Option<(u16, u16)>) {
        let mut buffer = Buffer::empty(area);
        let prompt = "Connect to: ";
        let row = |y: u16| Rect {
            y,
            height: 1,
            ..area
        };
        put(
            &mut buffer,
            row(area.y),
            &format!("{prompt}{}", self.filter),
            Style::default(),
        );
        let hint = match area.height {
            0..=2 => area.bottom(),
            _ => area.bottom() - 1,
        };
        let list = area.y.saturating_add(1)..hint;
        let height = usize::from(list.end.saturating_sub(list.start)).max(1);
        let first = self.selected / height * height;
        for (y, (place, index)) in list.zip(self.left.iter().enumerate().skip(first)) {
            let Some(choice) = self.choices.get(*index) else {
                continue;
            };
            let text = format!("{:>4}  {}@{}", index + 1, choice.login, choice.target);
            let style = match place == self.selected {
                true => Style::default().add_modifier(Modifier::REVERSED),
                false => Style::default(),
            };
            put(&mut buffer, row(y), &text, style);
        }
        if hint < area.bottom() {
            let text = format!(
                "{} of {}; type to filter, arrows or number select, Enter connects, Esc quits",
                self.left.len(),
                self.choices.len()
            );
            put(
                &mut buffer,
                row(hint),
                &text,
                Style::default().add_modifier(Modifier::DIM),
            );
        }
        let typed = prompt.len() + self.filter.chars().count();
        let x = u16::try_from(typed)
            .unwrap_or(u16::MAX)
            .min(area.width.saturating_sub(1));
        (buffer, (area.height > 0).then_some((x, area.y)))
    }
}

/// Bytes from the terminal. What may be the start of a sequence is kept for the next call.
pub fn feed(state: &mut ConsoleState, bytes: &[u8]) -> Vec<Action> {
    let keys = state.keys.feed(bytes);
    keys.into_iter().filter_map(|key| state.key(key)).collect()
}

/// The verb without a name.
pub async fn run(desk: &Desk, caller: &Caller, call: &mut Call) -> VerbEnd {
    let choices = match caller {
        Caller::Person { who, source } => reachable(desk, who, source.ip())
            .await
            .into_iter()
            .flat_map(|(target, logins)| {
                let choice = move |login| Choice {
                    target: target.name.to_string(),
                    login,
                };
                logins.into_iter().map(choice)
            })
            .collect(),
        Caller::Operator { .. } => Vec::new(),
    };
    console(choices, call).await
}

/// Policy is asked about every login of every target: not on a thread of the runtime.
pub(crate) async fn reachable(
    desk: &Desk,
    who: &Arc<Identity>,
    source: IpAddr,
) -> Vec<(Arc<Target>, Vec<Login>)> {
    let (desk, who) = (desk.clone(), Arc::clone(who));
    let asked = tokio::task::spawn_blocking(move || desk.reachable(&who, source)).await;
    // What could not be asked is not allowed.
    asked.unwrap_or_default()
}

/// The same with the list in hand.
pub async fn console(choices: Vec<Choice>, call: &mut Call) -> VerbEnd {
    if choices.is_empty() {
        let code = finish(nowhere_to_go(call).await, call).await;
        return VerbEnd::Exit(code);
    }
    match choose(choices, call).await {
        Ok(Some(chosen)) => VerbEnd::Connect(chosen),
        Ok(None) => VerbEnd::Exit(finish(Ok(0), call).await),
        Err(fault) => VerbEnd::Exit(finish(Err(fault), call).await),
    }
}

async fn nowhere_to_go(call: &mut Call) -> Result<u8, Fault> {
    let end = line_end(call);
    let text = format!(
        "portcullis: there is no target that you may use with this certificate{end}\
         hint: ask whoever signs your certificates for the login as a principal, or whoever keeps \
         the policies for a rule; `ssh LOGIN@TARGET@bastion` says why one target is refused{end}\
         ref: {}{end}",
        call.reference
    );
    call.errors.write_all(text.as_bytes()).await?;
    Ok(1)
}

async fn choose(choices: Vec<Choice>, call: &mut Call) -> Result<Option<Chosen>, Fault> {
    let mut state = ConsoleState::new(choices);
    let Some(mut window) = Window::open(call, CancellationToken::new()).await? else {
        let hint = format!(
            "the console needs a terminal: use `ssh -t`, or name the target, \
             `ssh LOGIN@TARGET@bastion`, or a verb: {}",
            super::usage::verbs()
        );
        return Err(Fault::Usage(hint));
    };
    let chosen = pick(&mut state, &mut window).await;
    let typed = window.typed_ahead();
    window.close(call).await?;
    let chosen = chosen?;
    if let Some(choice) = &chosen {
        let text = format!(
            "portcullis: connecting to {}@{}",
            choice.login, choice.target
        );
        let line = format!("{}{}", Shown(&text), line_end(call));
        call.errors.write_all(line.as_bytes()).await?;
        call.errors.flush().await?;
    }
    Ok(chosen.map(|choice| Chosen {
        target: choice.target,
        login: choice.login,
        typed,
    }))
}

async fn pick(state: &mut ConsoleState, window: &mut Window) -> Result<Option<Choice>, Fault> {
    loop {
        window.paint(state.draw(window.area())).await?;
        let keys = match window.wait(None).await {
            Moment::Keys(keys) => keys,
            Moment::Resized | Moment::Waited => continue,
            Moment::Gone => return Ok(None),
        };
        for key in keys {
            match state.key(key) {
                Some(Action::Quit) => return Ok(None),
                Some(Action::Connect(index)) => return Ok(state.choices.get(index).cloned()),
                Some(Action::Redraw) | None => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
