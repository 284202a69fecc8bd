//! `report`: every access of a time, and what an auditor asks about it.

use super::filter::FilterArgs;
use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, remark};
use crate::cli::files::Out;
use crate::cli::when::Zone;
use crate::event::{ExportFact, Kind, Outcome};
use crate::policy::Action;
use crate::proxy::Call;
use crate::replay::{Access, Asked, Report, ReportFormat, ReportWriter, Scope, hexadecimal};
use crate::store::Filter;
use chrono::Duration;
use ring::digest::{Context, SHA256};

/// A quarter, where nobody says since when.
const SINCE: Duration = Duration::days(90);
/// Who was not here for so long is named.
const AWAY: Duration = Duration::days(90);
/// Accesses between two words on how far it is.
const STEP: u64 = 1000;

#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// `html` (the default), `csv` (the accesses alone) or `json`.
    #[arg(long)]
    pub format: Option<ReportFormat>,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// `accounts` are those that the configuration lists, for the rights that nobody used.
pub async fn run(
    args: &ReportArgs,
    accounts: Vec<(String, String)>,
    look: &Look,
    by: &Looker,
    call: &mut Call,
) -> u8 {
    let done = report(args, accounts, look, by, call).await;
    finish(done, call).await
}

async fn report(
    args: &ReportArgs,
    accounts: Vec<(String, String)>,
    look: &Look,
    by: &Looker,
    call: &mut Call,
) -> Result<u8, Fault> {
    if call.terminal.is_some() {
        let text =
            "a report is for a file, not for a terminal: `ssh BASTION report ... > FILE.html`";
        return Err(Fault::Usage(text.to_owned()));
    }
    let format = match (args.json, args.format) {
        (true, _) => ReportFormat::Json,
        (false, format) => format.unwrap_or(ReportFormat::Html),
    };
    let mut filter = args.filter.filter(Zone::of(&call.env), look)?;
    let now = look.clock.now_utc();
    let until = filter.until.unwrap_or(now);
    let since = filter.since.unwrap_or(until - SINCE);
    (filter.since, filter.until) = (Some(since), Some(until));
    let fact = ExportFact {
        format: format!("report {}", format.name()),
        filter: args.filter.words().join(" "),
        ..ExportFact::default()
    };
    let told = |fact: &ExportFact| Kind::Export(Box::new(fact.clone()));
    look.record(by, told(&fact), Outcome::Unknown).await?;
    let asked = Asked {
        since,
        until,
        now,
        filter: fact.filter.clone(),
        by: by.name(),
        node: by.node(),
        scope: Scope {
            identity: filter.identity.clone(),
            target: filter.target.clone(),
            login: filter.login.clone(),
            ticket: filter.ticket.clone(),
        },
    };
    let written = write(asked, accounts, (format, filter), (look, by), call).await;
    let (done, outcome) = match &written {
        Ok(written) => (written.clone(), Outcome::Success),
        Err(_) => (ExportFact::default(), Outcome::Failure),
    };
    let fact = ExportFact {
        format: fact.format,
        filter: fact.filter,
        ..done
    };
    look.record(by, told(&fact), outcome).await?;
    written?;
    Out::new(call).whole().await?;
    let (sessions, bytes, sum) = (fact.sessions, fact.bytes, &fact.sha256);
    remark(
        call,
        &format!("{sessions} sessions, {bytes} bytes, SHA-256 {sum}"),
    )
    .await?;
    Ok(0)
}

async fn write(
    asked: Asked,
    accounts: Vec<(String, String)>,
    (format, filter): (ReportFormat, Filter),
    (look, by): (&Look, &Looker),
    call: &mut Call,
) -> Result<ExportFact, Fault> {
    let (since, until, now) = (asked.since, asked.until, asked.now);
    let reviewed = look.store.reviewed().await?;
    let times = |row: &crate::store::Row| reviewed.get(&row.id).copied().unwrap_or(0);
    let away = look.store.not_seen(until - AWAY).await?;
    let mut report = Report::new(asked, accounts, &away);
    let mut rows = look.list(by, Action::View, filter.clone());
    while let Some(row) = rows.next().await? {
        report.row(&row, times(&row));
    }
    let nodes = look.node_streams(Some(since), Some(until)).await?;
    let (report, events) = read(report, nodes, look).await?;
    let mut sent = Sent::new(call);
    let mut writer = ReportWriter::new(format);
    sent.bytes(writer.head(&report)).await?;
    let mut rows = look.list(by, Action::View, filter);
    let mut sessions = 0;
    while let Some(row) = rows.next().await? {
        sent.bytes(writer.access(&Access::new(&row, times(&row), now)))
            .await?;
        sessions += 1;
        if sessions % STEP == 0 {
            sent.out.progress(sessions, report.sessions()).await?;
        }
    }
    sent.bytes(Ok(writer.foot())).await?;
    Ok(ExportFact {
        sessions,
        events,
        bytes: sent.count,
        sha256: hexadecimal(sent.hash),
        ..ExportFact::default()
    })
}

/// The node's own events, on a thread that may block.
async fn read(
    mut report: Report,
    nodes: Vec<crate::id::SessionId>,
    look: &Look,
) -> Result<(Report, u64), Fault> {
    let archive = look.archive.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut events = 0;
        for stream in nodes {
            events += report.read(&archive, stream)?;
        }
        Ok::<_, crate::replay::Error>((report, events))
    });
    let read = reading
        .await
        .map_err(|error| Fault::Broken(error.to_string()))?;
    Ok(read?)
}

/// What went out.
struct Sent<'a> {
    out: Out<'a>,
    hash: Context,
    count: u64,
}

impl<'a> Sent<'a> {
    fn new(call: &'a mut Call) -> Self {
        Self {
            out: Out::new(call),
            hash: Context::new(&SHA256),
            count: 0,
        }
    }

    async fn bytes(&mut self, bytes: Result<Vec<u8>, String>) -> Result<(), Fault> {
        let bytes = bytes.map_err(Fault::Broken)?;
        self.hash.update(&bytes);
        self.count += bytes.len() as u64;
        self.out.bytes(&bytes).await
    }
}
