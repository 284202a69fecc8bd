//! `export`: recordings in the formats of other tools, as one stream, or as files on the node.

use super::filter::FilterArgs;
use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, remark};
use crate::cli::files::Out;
use crate::cli::when::Zone;
use crate::event::{ExportFact, Kind, Outcome};
use crate::policy::Action;
use crate::proxy::{Call, Taking};
use crate::replay::{self, ExportOf, ExportStream, ExportWanted, Format, Part, Tally};
use crate::store::Row;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Parts between the reading thread and the writer; the reader waits when it is full.
const PARTS: usize = 16;
/// An export ends within so long of its right.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// People whose rights are asked for again.
const OWNERS_MAX: usize = 2000;

#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Only this session: its id, a unique part of it, or `last`.
    pub id: Option<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// `jsonl`, `csv`, `asciicast-v2`, `asciicast-v3`, `html`, `ocsf` or `ecs`.
    #[arg(long, default_value = "jsonl")]
    pub format: Format,
    /// The terminal of an asciicast, where a session has several.
    #[arg(long)]
    pub channel: Option<u32>,
    /// The node's own events as well: logins, refusals, changes, who looked at what.
    #[arg(long, conflicts_with_all = ["id", "identity", "target", "login", "ticket", "active"])]
    pub node: bool,
    /// JSON is what the formats are; accepted so that every verb takes it.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &ExportArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = start(args, look, by, call).await;
    finish(done, call).await
}

async fn start(args: &ExportArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    if call.terminal.is_some() {
        let text = "an export is for a file, not for a terminal: `ssh BASTION export ... > FILE`";
        return Err(Fault::Usage(text.to_owned()));
    }
    let told = |tally: &Tally| {
        Kind::Export(Box::new(ExportFact {
            format: args.format.name().to_owned(),
            filter: filter_words(args),
            sessions: tally.sessions,
            events: tally.events,
            bytes: tally.bytes,
            sha256: tally.sha256.clone(),
        }))
    };
    let chosen = match chosen(args, look, by, Zone::of(&call.env)).await {
        Ok(chosen) => chosen,
        // That it was asked for stands in the record, whatever came of it.
        Err(fault @ Fault::Denied(_)) => {
            let nothing = told(&Tally::default());
            look.record(by, nothing, Outcome::Denied).await?;
            return Err(fault);
        }
        Err(fault) => return Err(fault),
    };
    let sessions = chosen.sessions();
    if args.format.is_of_one_session() && sessions > 1 && call.taking != Taking::Several {
        let format = args.format.name();
        return Err(Fault::Usage(format!(
            "{format} holds one session and these are {sessions}: name one, `sessions` lists them, \
             or on the node write files with `-o DIR`"
        )));
    }
    // Before the first byte: who takes some and goes away does not go unnoticed.
    let begun = Tally {
        sessions,
        ..Tally::default()
    };
    look.record(by, told(&begun), Outcome::Unknown).await?;
    let (left_out, asked) = (chosen.left_out, chosen.asked.clone());
    let written = tokio::select! {
        written = write(args, look, chosen, call) => written,
        () = withdrawn(look, by, &asked) => Err(Fault::Denied("export")),
    };
    let (tally, outcome) = match &written {
        Ok(tally) => (tally.clone(), Outcome::Success),
        Err(Fault::Denied(_)) => (Tally::default(), Outcome::Denied),
        Err(_) => (Tally::default(), Outcome::Failure),
    };
    look.record(by, told(&tally), outcome).await?;
    let tally = written?;
    Out::new(call).whole().await?;
    say(&tally, left_out, call).await?;
    let holes = tally.damaged + tally.skipped + tally.unchecked;
    Ok(match (holes, tally.sessions, tally.events) {
        (0, 0, 0) => 1,
        (0, _, _) => 0,
        _ => 1,
    })
}

/// A right is asked for again while it is used: until policy lets this person take one of them along
/// no more.
async fn withdrawn(look: &Look, by: &Looker, asked: &Asked) {
    let allowed = || {
        let node = !asked.node || look.allows_bastion(by, Action::Report);
        let mut rows = asked.rows.values();
        node && rows.all(|row| look.allows(by, Action::Export, row))
    };
    while allowed() {
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn say(tally: &Tally, left_out: u64, call: &mut Call) -> Result<(), Fault> {
    let text = format!(
        "{} sessions, {} events, {} bytes, SHA-256 {}",
        tally.sessions, tally.events, tally.bytes, tally.sha256
    );
    remark(call, &text).await?;
    if left_out > 0 {
        let text = format!("left out: {left_out} that you may see and not export");
        remark(call, &text).await?;
    }
    let (damaged, skipped) = (tally.damaged, tally.skipped);
    if damaged + skipped > 0 {
        let text = format!(
            "NOT everything: {damaged} damaged places and {skipped} recordings skipped, each is named \
             above"
        );
        remark(call, &text).await?;
    }
    if tally.unchecked > 0 {
        let unchecked = tally.unchecked;
        let text = format!(
            "NOT checked: {unchecked} recordings of a newer version, each is named above: a newer \
             portcullis checks them"
        );
        remark(call, &text).await?;
    }
    Ok(())
}

/// What is written.
#[derive(Default)]
struct Chosen {
    streams: Vec<ExportStream>,
    /// The caller may see them, and not take them along.
    left_out: u64,
    asked: Asked,
}

/// What policy was asked about.
#[derive(Clone, Default)]
struct Asked {
    /// One session of each owner: policy sees no more of it, but for the certificate.
    rows: BTreeMap<Option<String>, Row>,
    node: bool,
}

impl Asked {
    fn add(&mut self, row: &Row) {
        let owner = row.who.identity.as_ref().map(ToString::to_string);
        if self.rows.len() < OWNERS_MAX {
            self.rows.entry(owner).or_insert_with(|| row.clone());
        }
    }
}

impl Chosen {
    fn sessions(&self) -> u64 {
        let of_sessions = |stream: &&ExportStream| matches!(stream.of, ExportOf::Session { .. });
        self.streams.iter().filter(of_sessions).count() as u64
    }
}

/// What was asked for, oldest first, and after it the node's own.
async fn chosen(args: &ExportArgs, look: &Look, by: &Looker, zone: Zone) -> Result<Chosen, Fault> {
    let mut chosen = Chosen::default();
    let of = |row: &Row| ExportStream {
        id: row.id,
        of: ExportOf::Session {
            ended: !row.active(),
        },
    };
    if let Some(id) = &args.id {
        let view = |session| Kind::View {
            verb: "export".to_owned(),
            session: Some(session),
        };
        let row = look.open(by, Action::View, id, view).await?;
        if !look.allows(by, Action::Export, &row) {
            return Err(Fault::Denied("export"));
        }
        chosen.streams.push(of(&row));
        chosen.asked.add(&row);
        return Ok(chosen);
    }
    let filter = args.filter.filter(zone, look)?;
    let (since, until) = (filter.since, filter.until);
    let mut rows = look.list(by, Action::View, filter);
    let mut running = Vec::new();
    while let Some(row) = rows.next().await? {
        match look.allows(by, Action::Export, &row) {
            true => {
                chosen.streams.push(of(&row));
                chosen.asked.add(&row);
            }
            false => chosen.left_out += 1,
        }
        running.extend(row.active().then_some(row.id));
    }
    if chosen.streams.is_empty() && chosen.left_out > 0 {
        return Err(Fault::Denied("export"));
    }
    for id in running {
        look.bring_up_to_date(id).await;
    }
    chosen.streams.reverse();
    if args.node {
        if args.format.is_of_one_session() {
            let text = "the node's events were on no screen: `--node` goes with the other formats";
            return Err(Fault::Usage(text.to_owned()));
        }
        if !look.allows_bastion(by, Action::Report) {
            return Err(Fault::Denied("export --node"));
        }
        chosen.asked.node = true;
        let nodes = look.node_streams(since, until).await?;
        let of = ExportOf::Node { since, until };
        let nodes = nodes.into_iter().map(|id| ExportStream { id, of });
        chosen.streams.extend(nodes);
    }
    Ok(chosen)
}

async fn write(
    args: &ExportArgs,
    look: &Look,
    chosen: Chosen,
    call: &mut Call,
) -> Result<Tally, Fault> {
    let (to, mut from) = mpsc::channel(PARTS);
    let all = chosen.streams.len() as u64;
    let wanted = ExportWanted {
        streams: chosen.streams,
        format: args.format,
        channel: args.channel,
        files: call.taking == Taking::Several,
    };
    let archive = look.archive.clone();
    let reading = tokio::task::spawn_blocking(move || {
        replay::export(&archive, &wanted, |part| to.blocking_send(part).is_ok())
    });
    let mut out = Out::new(call);
    while let Some(part) = from.recv().await {
        match part {
            Part::File(name) => out.file(&name).await?,
            Part::Bytes(bytes) => out.bytes(&bytes).await?,
            Part::Remark(text) => remark(out.call(), &text).await?,
            Part::Done(done) => out.progress(done, all).await?,
        }
    }
    let done = reading
        .await
        .map_err(|error| Fault::Broken(error.to_string()))?;
    done.map_err(|error| Fault::Usage(error.to_string()))
}

/// What was asked for, as words that would ask for it again.
fn filter_words(args: &ExportArgs) -> String {
    let mut words: Vec<String> = args.id.iter().cloned().collect();
    words.extend(args.filter.words());
    if args.node {
        words.push("--node".to_owned());
    }
    words.join(" ")
}
