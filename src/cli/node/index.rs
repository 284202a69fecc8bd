//! `index --rebuild`: the session index from recordings. Only on the node.

use crate::cli::answer::{Fault, finish, line_end, print, remark};
use crate::id::SessionId;
use crate::proxy::Call;
use crate::replay::Archive;
use crate::store::Store;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct IndexArgs {
    /// Make every row again from its recording.
    #[arg(long)]
    pub rebuild: bool,
    #[arg(long)]
    pub json: bool,
}

/// `screen`: whether what was on screens is to be found.
pub async fn run(
    args: &IndexArgs,
    archive: &Archive,
    store: &Store,
    screen: bool,
    call: &mut Call,
) -> u8 {
    let done = index(args, archive, store, screen, call).await;
    finish(done, call).await
}

async fn index(
    args: &IndexArgs,
    archive: &Archive,
    store: &Store,
    screen: bool,
    call: &mut Call,
) -> Result<u8, Fault> {
    let end = line_end(call);
    if !screen {
        store.clear_screen().await?;
    }
    let (done, indexed) = match args.rebuild {
        true => ("rebuilt", store.rebuild(archive).await?),
        false => ("changed", store.catch_up(archive).await?),
    };
    let read = match args.rebuild {
        true => store.rebuild_told(archive, screen).await?,
        false => store.catch_up_told(archive, screen).await?,
    };
    let size = store.told_size().await?;
    let count = indexed.rows;
    if args.json {
        let json = serde_json::json!({
            done: count, "unread": unread(&indexed.unread),
            "searched": {
                "read": read, "lines": size.lines, "left_out": size.left_out, "bytes": size.bytes
            },
        });
        let json = json.to_string();
        print(&mut call.output, end, &json).await?;
    } else {
        let rows = if count == 1 { "row" } else { "rows" };
        remark(
            call,
            &format!("{count} {rows} of the session index {done} from recordings"),
        )
        .await?;
        let text = format!(
            "{read} recordings read into the search index; it has {} lines now, and the database {} \
             bytes",
            size.lines, size.bytes
        );
        remark(call, &text).await?;
        if size.left_out > 0 {
            let text = format!(
                "{} lines of screens are beyond what is kept of one session: `transcript` has them",
                size.left_out
            );
            remark(call, &text).await?;
        }
    }
    for (id, why) in &indexed.unread {
        let text = format!(
            "recording {id} cannot be read, and its row in the list stays as it was: {why}"
        );
        remark(call, &text).await?;
    }
    Ok(u8::from(!indexed.unread.is_empty()))
}

fn unread(streams: &[(SessionId, String)]) -> Vec<serde_json::Value> {
    let said = |(id, why): &(SessionId, String)| serde_json::json!({"id": id, "why": why});
    streams.iter().map(said).collect()
}
