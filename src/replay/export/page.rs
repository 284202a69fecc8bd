//! One HTML page for a session: who, where, why, and what was on the screen. It loads nothing and
//! runs nothing.

use super::exporter::Writer;
use crate::replay::line::Line;
use crate::replay::open::{Damage, Step};
use crate::replay::transcript::{Said, Transcript};
use crate::replay::written::{HtmlPage, facts};

#[derive(Default)]
pub(super) struct Page {
    begun: bool,
    transcript: Transcript,
    page: HtmlPage,
}

impl Page {
    fn lines(&mut self, said: &[Said]) -> String {
        said.iter().map(|said| self.page.line(said)).collect()
    }
}

impl Writer for Page {
    fn line(&mut self, line: &Line) -> Result<Vec<u8>, String> {
        let mut out = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            out = self.page.head(line, &facts(line));
        }
        let said = self.transcript.take(&Step::Line(Box::new(line.clone())));
        out += &self.lines(&said);
        Ok(out.into_bytes())
    }

    fn damage(&mut self, damage: &Damage) -> Vec<u8> {
        let said = self.transcript.take(&Step::Damage(damage.clone()));
        self.lines(&said).into_bytes()
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        let rest = std::mem::take(&mut self.transcript).finish();
        let mut out = self.lines(&rest);
        if self.begun {
            out += &self.page.finish();
        }
        Ok(out.into_bytes())
    }
}
