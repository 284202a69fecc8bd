//! `transcript ID`: what a person saw, as text, Markdown or a page.

use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, json, line_end, print};
use crate::event::Kind;
use crate::policy::Action;
use crate::proxy::Call;
use crate::replay::{self, Form, Said, Written, safe_line};
use tokio::io::AsyncWriteExt;

/// Begins every line that is ours. Recorded lines that begin so get a backslash, so that a target
/// cannot speak in our name.
const OURS: &str = "[portcullis] ";

#[derive(Clone, Debug, clap::Args)]
pub struct TranscriptArgs {
    /// Session id, a unique part of it, or `last`.
    pub id: String,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// JSON Lines {channel, text, ours} instead of text.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

pub async fn run(args: &TranscriptArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = transcript(args, look, by, call).await;
    finish(done, call).await
}

async fn transcript(
    args: &TranscriptArgs,
    look: &Look,
    by: &Looker,
    call: &mut Call,
) -> Result<u8, Fault> {
    let view = |session| Kind::View {
        verb: "transcript".to_owned(),
        session: Some(session),
    };
    let row = look.open(by, Action::View, &args.id, view).await?;
    let (archive, form) = (look.archive.clone(), args.format);
    let pieces = tokio::task::spawn_blocking(move || Written::open(&archive, &row, form)).await;
    let pieces = pieces.map_err(|error| Fault::Broken(error.to_string()))??;
    let mut pieces = replay::feed(pieces);
    let end = line_end(call);
    let mut channel = None;
    let mut damaged = false;
    while let Some(piece) = pieces.recv().await {
        let piece = piece?;
        damaged |= piece.is_damage;
        match args.format {
            Form::Markdown | Form::Html => print(&mut *call.output, end, &piece.text).await?,
            Form::Text => {
                let text = lines(&piece.said, args.json, &mut channel, end)?;
                call.output.write_all(text.as_bytes()).await?;
            }
        }
    }
    Ok(if damaged { 4 } else { 0 })
}

fn lines(
    said: &[Said],
    as_json: bool,
    channel: &mut Option<u32>,
    end: &str,
) -> Result<String, Fault> {
    let mut text = String::new();
    for said in said {
        if as_json {
            text += &(json(said)? + end);
            continue;
        }
        if said.channel.is_some() && said.channel != *channel {
            *channel = said.channel;
            let number = said.channel.unwrap_or_default();
            text += &format!("{OURS}channel {number}{end}");
        }
        text += &(line(said) + end);
    }
    Ok(text)
}

fn line(said: &Said) -> String {
    let text = safe_line(&said.text);
    match (said.ours, text.starts_with(OURS.trim_end())) {
        (true, _) => format!("{OURS}{text}"),
        (false, true) => format!("\\{text}"),
        (false, false) => text,
    }
}
