//! What there is, and what was wrong with what somebody typed.

use super::answer::{Fault, finish, line_end, print};
use super::tree::Remote;
use crate::event::Shown;
use crate::proxy::Call;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokio::io::AsyncWriteExt;

/// Help goes to standard output, and all is well; a mistake is said as everything else is.
pub(super) async fn explain(error: &clap::Error, call: &mut Call) -> u8 {
    let done = match error.use_stderr() {
        true => Err(Fault::Usage(mistake(error, &Remote::command()))),
        false => help(error, call).await,
    };
    finish(done, call).await
}

async fn help(error: &clap::Error, call: &mut Call) -> Result<u8, Fault> {
    let end = line_end(call);
    for line in error.render().to_string().lines() {
        print(&mut call.output, end, &Shown(line).to_string()).await?;
    }
    call.output.flush().await?;
    Ok(0)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap has many ways to say what is wrong, and says them itself"
)]
pub(super) fn mistake(error: &clap::Error, tree: &clap::Command) -> String {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = match error.get(ContextKind::InvalidSubcommand) {
                Some(ContextValue::String(typed)) => typed.as_str(),
                _ => "that",
            };
            format!("`{typed}` is no verb here; there are: {}", names(tree))
        }
        _ => {
            let text = error.render().to_string();
            let (text, _) = text.split_once("\n\n").unwrap_or((&text, ""));
            let text = text.strip_prefix("error: ").unwrap_or(text);
            let words: Vec<_> = text.split_whitespace().collect();
            format!(
                "{}; `help` before the verb says how it is used",
                words.join(" ")
            )
        }
    }
}

/// What a guest can say.
pub(super) fn verbs() -> String {
    names(&Remote::command())
}

/// Every verb, and those inside of others spelt out.
fn names(tree: &clap::Command) -> String {
    let mut names = Vec::new();
    for verb in tree.get_subcommands() {
        let name = verb.get_name();
        names.push(name.to_owned());
        let inner = verb.get_subcommands();
        names.extend(inner.map(|inner| format!("{name} {}", inner.get_name())));
    }
    names.push("help".to_owned());
    names.join(", ")
}
