//! A recording in, pieces of one document out.

use super::facts::facts;
use super::{html, markdown};
use crate::replay::line::Line;
use crate::replay::marks::Marks;
use crate::replay::open::{Archive, Error, Events, Step};
use crate::replay::transcript::{Said, Transcript, note};
use crate::replay::whole::Whole;
use crate::store::Row;

/// How a transcript is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// As `script` writes it, without control codes.
    #[default]
    Text,
    /// Commands as headings, what was shown in fences.
    Markdown,
    /// One page with colours; it loads and runs nothing.
    Html,
}

/// What comes out, in order.
#[derive(Debug)]
pub struct Piece {
    /// Lines for whoever writes them himself ([`Form::Text`]).
    pub said: Vec<Said>,
    /// Or a part of the document.
    pub text: String,
    /// It tells of damage.
    pub is_damage: bool,
}

/// The emulators run where the lines are read: blocking, on a thread that may be busy.
pub struct Written {
    events: Events,
    transcript: Option<Transcript>,
    page: Page,
    begun: bool,
    channel: Option<u32>,
    /// Commands beyond those that have a heading.
    without_heading: u64,
}

enum Page {
    Text,
    Markdown(markdown::Page),
    Html(html::Page),
}

impl Written {
    /// Documents with headings look through the recording once before.
    ///
    /// # Errors
    /// When the recording is missing, unreadable or of a newer version.
    pub fn open(archive: &Archive, row: &Row, form: Form) -> Result<Self, Error> {
        let events = || Ok(archive.events(row.id)?.of_ended(!row.active()));
        let page = match form {
            Form::Text => Page::Text,
            Form::Markdown => Page::Markdown(markdown::Page::default()),
            Form::Html => Page::Html(html::Page::default()),
        };
        let (transcript, without_heading) = match form {
            Form::Text => (Transcript::default(), 0),
            Form::Markdown | Form::Html => {
                with_headings(archive.whole(row.id)?.of_ended(!row.active()))?
            }
        };
        Ok(Self {
            events: events()?,
            transcript: Some(transcript),
            page,
            begun: false,
            channel: None,
            without_heading,
        })
    }

    fn piece(&mut self, said: Vec<Said>, is_damage: bool) -> Piece {
        let mut text = String::new();
        for said in &said {
            let channel = said.channel.filter(|_| said.channel != self.channel);
            self.channel = said.channel.or(self.channel);
            match &mut self.page {
                Page::Text => {}
                Page::Markdown(page) => {
                    text += &channel.map_or_else(String::new, |channel| page.channel(channel));
                    text += &page.line(said);
                }
                Page::Html(page) => {
                    text += &channel.map_or_else(String::new, |channel| page.channel(channel));
                    text += &page.line(said);
                }
            }
        }
        Piece {
            said,
            text,
            is_damage,
        }
    }

    fn head(&mut self, line: &Line) -> String {
        match &mut self.page {
            Page::Text => String::new(),
            Page::Markdown(page) => page.head(line, &facts(line)),
            Page::Html(page) => page.head(line, &facts(line)),
        }
    }

    fn finish(&mut self, rest: Transcript) -> Piece {
        let mut rest = rest.finish();
        if self.without_heading > 0 {
            let text = format!("{} more commands have no heading", self.without_heading);
            rest.push(note(None, text));
        }
        let mut piece = self.piece(rest, false);
        piece.text += &match &mut self.page {
            Page::Text => String::new(),
            Page::Markdown(page) => page.finish(),
            Page::Html(page) => page.finish(),
        };
        piece
    }
}

impl Iterator for Written {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(step) = self.events.next() else {
                let rest = self.transcript.take()?;
                return Some(Ok(self.finish(rest)));
            };
            let step = match step {
                Ok(step) => step,
                Err(error) => return Some(Err(error)),
            };
            let mut head = String::new();
            if let (false, Step::Line(line)) = (self.begun, &step) {
                self.begun = true;
                head = self.head(line);
            }
            let said = self.transcript.as_mut()?.take(&step);
            let mut piece = self.piece(said, matches!(step, Step::Damage(_)));
            piece.text.insert_str(0, &head);
            if !piece.said.is_empty() || !piece.text.is_empty() {
                return Some(Ok(piece));
            }
        }
    }
}

fn with_headings(events: Whole) -> Result<(Transcript, u64), Error> {
    let mut marks = Marks::default();
    let mut found = Vec::new();
    for step in events.skim() {
        found.extend(marks.take(&step?));
    }
    Ok((Transcript::with_headings(found), marks.left_out()))
}
