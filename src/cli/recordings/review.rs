//! `review ID --note WORDS`: a session was looked at and is signed off, as an event of the node.

use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, json, line_end, print, remark};
use crate::event::Kind;
use crate::policy::Action;
use crate::proxy::Call;

/// A sentence or two; it stands in the record for good.
const NOTE_BYTES_MAX: usize = 1024;

#[derive(Clone, Debug, clap::Args)]
pub struct ReviewArgs {
    /// Session id, a unique part of it, or `last`.
    pub id: String,
    /// What came of it: all words up to the next option.
    #[arg(long, required = true, num_args = 1..)]
    pub note: Vec<String>,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &ReviewArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = review(args, look, by, call).await;
    finish(done, call).await
}

async fn review(args: &ReviewArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    let note = args.note.join(" ").trim().to_owned();
    if note.is_empty() {
        return Err(Fault::Usage("`--note` says what came of it".to_owned()));
    }
    if note.len() > NOTE_BYTES_MAX {
        let (has, max) = (note.len(), NOTE_BYTES_MAX);
        return Err(Fault::Usage(format!(
            "a note has at most {max} bytes and this one {has}: put the rest into the ticket"
        )));
    }
    let told = |session| Kind::Review {
        session,
        note: note.clone(),
    };
    // Who may not sign off, and who may not even see it, hear the same.
    let row = look.open(by, Action::Review, &args.id, told).await?;
    if args.json {
        let end = line_end(call);
        let text = json(&serde_json::json!({ "session": row.id, "note": note }))?;
        print(&mut call.output, end, &text).await?;
    } else {
        remark(call, &format!("session {} is signed off", row.id)).await?;
    }
    Ok(0)
}
