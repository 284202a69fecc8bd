//! `events ID`: the recorded lines, byte for byte.

use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, line_end, remark};
use crate::event::{self, Kind, escape_json};
use crate::policy::Action;
use crate::proxy::Call;
use crate::replay::{self, Raw};
use serde::Deserialize;
use std::borrow::Cow;
use tokio::io::AsyncWriteExt;

#[derive(Clone, Debug, clap::Args)]
pub struct EventsArgs {
    /// Session id, a unique part of it, or `last`.
    pub id: String,
    /// Only these kinds; `channel.*` stands for all that begin so.
    #[arg(long, num_args = 1..)]
    pub kind: Vec<String>,
    /// Events are JSON Lines already; accepted so that every verb takes it.
    #[arg(long)]
    pub json: bool,
}

#[derive(Deserialize)]
struct KindOf<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

pub async fn run(args: &EventsArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = events(args, look, by, call).await;
    finish(done, call).await
}

async fn events(args: &EventsArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    let view = |session| Kind::View {
        verb: "events".to_owned(),
        session: Some(session),
    };
    let row = look.open(by, Action::View, &args.id, view).await?;
    let archive = look.archive.clone();
    let lines = tokio::task::spawn_blocking(move || {
        Ok::<_, replay::Error>(archive.checked(row.id)?.of_ended(!row.active()))
    })
    .await;
    let lines = lines.map_err(|error| Fault::Broken(error.to_string()))??;
    let mut lines = replay::feed(lines);
    let end = line_end(call);
    let (mut shown, mut damaged) = (0_u64, false);
    while let Some(raw) = lines.recv().await {
        match raw {
            Raw::Damage(text) => {
                damaged = true;
                remark(call, &format!("damaged recording, {text}")).await?;
            }
            Raw::Newer(text) => {
                damaged = true;
                remark(call, &text).await?;
            }
            Raw::Line(line) if wanted(&args.kind, &line) => {
                shown += 1;
                // The recorder escapes what a terminal obeys; who forged a line did not.
                match &call.terminal {
                    None => call.output.write_all(&line).await?,
                    Some(_) => {
                        let text = escape_json(&String::from_utf8_lossy(&line));
                        call.output.write_all(text.as_bytes()).await?;
                    }
                }
                call.output.write_all(end.as_bytes()).await?;
            }
            Raw::Line(_) => {}
        }
    }
    // After the search, since a recording of a newer version has kinds that this one does not know.
    if shown == 0
        && let Some(unknown) = args.kind.iter().find(|wanted| !is_known(wanted))
    {
        return Err(Fault::Usage(no_such_kind(unknown)));
    }
    if shown == 0 && !damaged {
        remark(call, "no event of these kinds in this session").await?;
    }
    Ok(match (damaged, shown) {
        (true, _) => 4,
        (false, 0) => 1,
        (false, _) => 0,
    })
}

fn wanted(kinds: &[String], line: &[u8]) -> bool {
    if kinds.is_empty() {
        return true;
    }
    let Ok(KindOf { kind }) = serde_json::from_slice(line) else {
        return false;
    };
    kinds.iter().any(|wanted| fits(wanted, &kind))
}

fn fits(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => kind == wanted,
    }
}

fn is_known(wanted: &str) -> bool {
    event::KINDS.iter().any(|kind| fits(wanted, kind))
}

fn no_such_kind(wanted: &str) -> String {
    let near = event::nearest_kinds(&wanted.to_lowercase());
    format!(
        "`{wanted}` is no kind of event; there are {} and others: docs/recording-format.md has all, \
         and `events ID` shows those of a session",
        near.join(", ")
    )
}
