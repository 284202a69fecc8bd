//! `sessions`: the list. `sessions show ID` is in `show`.

use super::filter::FilterArgs;
use super::look::{Look, Looker};
use super::show::{self, ShowArgs};
use crate::cli::answer::{Fault, finish, json, line_end, print, remark};
use crate::cli::when::{Zone, length};
use crate::event::{Kind, Outcome, Shown};
use crate::policy::Action;
use crate::proxy::Call;
use crate::store::Row;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use tokio::io::AsyncWriteExt;

/// Rows of a table or an array unless they ask for more.
const LIMIT: u32 = 100;
/// Most rows that a table holds in memory.
const TABLE_ROWS_MAX: u32 = 10_000;
/// Width from which ids are shown whole; else their last 12 characters, which name them as well.
const WIDE: u16 = 140;
/// Characters of one foreign text in a table.
const CELL_CHARS_MAX: usize = 60;

#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SessionsArgs {
    #[command(subcommand)]
    pub verb: Option<SessionsVerb>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum SessionsVerb {
    /// Everything about one session.
    Show(ShowArgs),
}

#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only those that nobody signed off.
    #[arg(long)]
    pub unreviewed: bool,
    /// At most so many, newest first.
    #[arg(long, default_value_t = LIMIT)]
    pub limit: u32,
    /// An array of objects instead of a table.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &SessionsArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    match &args.verb {
        Some(SessionsVerb::Show(args)) => show::run(args, look, by, call).await,
        None => {
            let done = list(&args.list, look, by, call).await;
            finish(done, call).await
        }
    }
}

async fn list(args: &ListArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    let zone = Zone::of(&call.env);
    let mut filter = args.filter.filter(zone, look)?;
    filter.unreviewed = args.unreviewed;
    let view = Kind::View {
        verb: "sessions".to_owned(),
        session: None,
    };
    look.record(by, view, Outcome::Success).await?;
    let mut rows = look.list(by, Action::View, filter);
    let mut shown = 0;
    let mut table = Vec::new();
    let mut more = false;
    let end = line_end(call);
    while let Some(row) = rows.next().await? {
        if shown == args.limit || (!args.json && shown == TABLE_ROWS_MAX) {
            more = true;
            break;
        }
        match args.json {
            true => {
                let start = if shown == 0 { "[" } else { "," };
                let json = json(&row)?;
                print(&mut call.output, end, &format!("{start}{json}")).await?;
            }
            false => table.push(row),
        }
        shown += 1;
    }
    match (args.json, shown) {
        (true, 0) => print(&mut call.output, end, "[]").await?,
        (true, _) => print(&mut call.output, end, "]").await?,
        (false, 0) => {}
        (false, _) => {
            let width = call.terminal.as_ref().map(|size| size.borrow().0);
            let table = render(&table, zone, width.filter(|&width| width > 0), look);
            print(&mut call.output, end, &table).await?;
        }
    }
    call.output.flush().await?;
    if more {
        remark(
            call,
            &format!("there are older ones: `--limit` shows more than {shown}"),
        )
        .await?;
    }
    if shown == 0 {
        remark(call, "no sessions that you may see").await?;
        return Ok(1);
    }
    Ok(0)
}

fn render(rows: &[Row], zone: Zone, width: Option<u16>, look: &Look) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    let short = width.is_some_and(|width| width < WIDE);
    table.set_header([
        "SESSION", "START", "FOR", "WHO", "WHERE", "END", "TICKET", "WHY",
    ]);
    for row in rows {
        let id = row.id.to_string();
        let id = match short {
            true => id.rsplit('-').next().unwrap_or_default().to_owned(),
            false => id,
        };
        let until = row
            .end
            .map_or_else(|| look.clock.now_utc(), |(time, _)| time);
        table.add_row([
            id,
            zone.show(row.start),
            length(row.start, until),
            cell(row.who.identity.as_ref().map_or("?", |who| who.as_str())),
            cell(&place(row)),
            cell(&show::ending(row)),
            cell(row.why.ticket.as_deref().unwrap_or("")),
            cell(row.why.justification.as_deref().unwrap_or("")),
        ]);
    }
    // A name that is cut in two names nothing; everything else may take more lines.
    if let Some(name) = table.column_mut(0) {
        name.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.trim_fmt()
}

fn place(row: &Row) -> String {
    let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
    format!("{}@{}", known(&row.login), known(&row.target))
}

fn cell(text: &str) -> String {
    let mut cut: String = text.chars().take(CELL_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Shown(&cut).to_string()
}
