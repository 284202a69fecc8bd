//! A session as one page of HTML. It loads nothing and runs nothing.

use super::pen::{Look, look};
use crate::event::Shown;
use crate::replay::emulated::clock;
use crate::replay::line::Line;
use crate::replay::marks::Mark;
use crate::replay::transcript::{Said, safe_line};

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Portcullis session</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
dt { float: left; clear: left; width: 8em; color: #555; }
dd { margin: 0 0 .2em 9em; overflow-wrap: anywhere; }
h2 { font-size: 1em; margin: 1.5em 0 .3em; overflow-wrap: anywhere; }
h2 + p { margin: 0 0 .3em; color: #555; }
pre { font: 13px/1.35 monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0;
      background: #1e1e1e; color: #d4d4d4; padding: .5em .8em; border-left: 6px double #e0a030;
      print-color-adjust: exact; }
pre b { font-weight: normal; color: #d4d4d4; background: #1e1e1e; outline: 1px dashed #e0a030; }
pre b::before { content: "hidden: "; color: #e0a030; }
.ours { color: #036; font-style: italic; margin: .2em 0; overflow-wrap: anywhere; }
.legend { color: #555; }
@media print { body { max-width: none; } }
</style></head><body>
"#;

/// Nothing that was shown gets out of its block, or over the bar beside it.
const LEGEND: &str = "<p class=\"legend\">What stood on the terminal is in dark blocks with a bar at \
their left, what could not be read on it is marked there; everything else is said by Portcullis.</p>\n";

/// Text that is HTML already. Words become it by [`Html::text`] alone, which escapes them.
#[derive(Debug, Default)]
struct Html(String);

impl Html {
    /// Markup of ours: it stands in this program.
    fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Somebody's words, for the content of an element (HTML, "Escaping") and for a terminal.
    fn text(&mut self, text: &str) -> &mut Self {
        for c in safe_line(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    fn into_string(self) -> String {
        self.0
    }
}

/// The state of a page: inside of a `pre` or not.
#[derive(Default)]
pub(in crate::replay) struct Page {
    is_open: bool,
}

impl Page {
    pub(in crate::replay) fn head(
        &mut self,
        line: &Line,
        facts: &[(&'static str, String)],
    ) -> String {
        let mut out = Html::default();
        out.markup(HEAD).markup("<h1>Session ");
        out.text(&line.sid.to_string()).markup("</h1>\n<dl>");
        for (name, text) in facts {
            out.markup("<dt>").text(name).markup("</dt><dd>");
            out.text(text).markup("</dd>");
        }
        out.markup("</dl>\n").markup(LEGEND);
        out.into_string()
    }

    pub(in crate::replay) fn line(&mut self, said: &Said) -> String {
        let mut out = Html::default();
        match &said.heading {
            Some(mark) => {
                self.close(&mut out);
                heading(mark, &mut out);
            }
            None if said.ours => {
                self.close(&mut out);
                out.markup("<p class=\"ours\">").text(&said.text);
                out.markup("</p>\n");
            }
            None => {
                if !std::mem::replace(&mut self.is_open, true) {
                    out.markup("<pre>\n");
                }
                write_line(said, &mut out);
            }
        }
        out.into_string()
    }

    pub(super) fn channel(&mut self, channel: u32) -> String {
        let mut out = Html::default();
        self.close(&mut out);
        out.markup("<h2>channel ").text(&channel.to_string());
        out.markup("</h2>\n");
        out.into_string()
    }

    pub(in crate::replay) fn finish(&mut self) -> String {
        let mut out = Html::default();
        self.close(&mut out);
        out.markup("</body></html>\n");
        out.into_string()
    }

    fn close(&mut self, out: &mut Html) {
        if std::mem::take(&mut self.is_open) {
            out.markup("</pre>\n");
        }
    }
}

fn heading(mark: &Mark, out: &mut Html) {
    out.markup("<h2>").text(&clock(mark.at)).markup(" <code>");
    out.text(&Shown(&mark.text).to_string());
    out.markup("</code></h2>\n");
    if !mark.detail.is_empty() {
        out.markup("<p>").text(&mark.detail).markup("</p>\n");
    }
}

/// One line of a `pre`, in its colours.
fn write_line(said: &Said, out: &mut Html) {
    let mut rest = said.text.as_str();
    for run in &said.ink {
        let Some((part, after)) = rest.split_at_checked(run.bytes.min(rest.len())) else {
            break;
        };
        match look(&run.pen) {
            // Blanks in any colour hide nothing.
            Look::Hidden if !part.trim().is_empty() => {
                out.markup("<b>").text(part).markup("</b>");
            }
            Look::Style(style) if !style.is_empty() && !part.is_empty() => {
                out.markup("<span style=\"").text(&style).markup("\">");
                out.text(part).markup("</span>");
            }
            Look::Hidden | Look::Style(_) => drop(out.text(part)),
        }
        rest = after;
    }
    out.text(rest).markup("\n");
}
