//! A report as a page: prints well, loads nothing, runs nothing, and what is foreign is escaped by type.

use super::access::{Access, COLUMNS, time};
use super::gather::Report;
use super::section::Section;
use askama::Template;

pub(super) const FOOT: &str = "</tbody></table></section></body></html>\n";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Access from {{ since }} to {{ until }}</title>
<style>
@page { size: A4 landscape; margin: 14mm 12mm; @bottom-right { content: counter(page) " / " counter(pages); } }
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 95em; padding: 0 1em; }
h2 { margin: 1.6em 0 .2em; break-after: avoid; }
p { margin: .2em 0 .6em; color: #444; }
dt { float: left; clear: left; width: 8em; color: #555; }
dd { margin: 0 0 .2em 9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: 12px; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: .2em .4em; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
th { border-bottom: 2px solid #888; }
.none { font-style: italic; }
@media print { body { max-width: none; margin: 0; padding: 0; } table { font-size: 8pt; } }
</style></head><body>
<h1>Who had access</h1>
<dl><dt>from</dt><dd>{{ since }}</dd><dt>to</dt><dd>{{ until }}</dd>
<dt>about</dt><dd>{{ filter }}</dd><dt>node</dt><dd>{{ node }}</dd>
<dt>made</dt><dd>{{ made }} for {{ by }}</dd>
<dt>holds</dt><dd>{{ sessions }} sessions ({{ running }} of them run) of {{ people }} people on {{ targets }} targets</dd>
{% if damaged > 0 %}<dt>damage</dt><dd><strong>{{ damaged }} places of the node's own recordings cannot be read: this report may lack what was there</strong></dd>{% endif %}
</dl>
<p>All times are UTC. Sessions are from the index of recordings, everything else from the node's own events.</p>
{% for section in sections %}<section id="{{ section.id }}"><h2>{{ section.title }} ({{ section.total }})</h2>
<p>{{ section.says }}</p>
{% if section.rows.is_empty() %}<p class="none">None.</p>
{% else %}<table><thead><tr>{% for column in section.columns %}<th>{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for row in section.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>
{% if section.more() > 0 %}<p class="none">And {{ section.more() }} more.</p>
{% endif %}{% endif %}</section>
{% endfor %}<section id="accesses"><h2>Every access ({{ sessions }})</h2>
<p>Newest first. What was run in each: <code>sessions show SESSION</code>.</p>
<table><thead><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr></thead><tbody>
"#
)]
struct Head {
    since: String,
    until: String,
    filter: String,
    node: String,
    made: String,
    by: String,
    sessions: u64,
    running: u64,
    people: u64,
    targets: u64,
    damaged: u64,
    sections: Vec<Section>,
    columns: [&'static str; 20],
}

#[derive(Template)]
#[template(
    ext = "html",
    source = "<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>\n"
)]
struct AccessRow<'a> {
    cells: &'a [String],
}

pub(super) fn head(report: &Report) -> Result<Vec<u8>, String> {
    let asked = &report.asked;
    let filter = match asked.filter.is_empty() {
        true => "everybody, everywhere".to_owned(),
        false => asked.filter.clone(),
    };
    rendered(&Head {
        since: time(asked.since),
        until: time(asked.until),
        filter,
        node: asked.node.clone(),
        made: time(asked.now),
        by: asked.by.clone(),
        sessions: report.sessions,
        running: report.running,
        people: report.people(),
        targets: report.targets(),
        damaged: report.damaged,
        sections: report.sections(),
        columns: COLUMNS.map(|name| match name {
            "reason_source" => "said by",
            "source_ip" => "from",
            "input_bytes" => "in",
            "output_bytes" => "out",
            name => name,
        }),
    })
}

pub(super) fn access(access: &Access) -> Result<Vec<u8>, String> {
    rendered(&AccessRow {
        cells: &access.cells,
    })
}

fn rendered(template: &impl Template) -> Result<Vec<u8>, String> {
    let mut text = String::new();
    template
        .render_into(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}
