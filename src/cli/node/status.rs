//! `status`: what the running bastion says of itself. Only on the node.

use super::control;
use crate::config::Config;
use crate::proxy::Status;
use anyhow::anyhow;
use std::io::{self, Write};

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct StatusArgs {
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: StatusArgs, config: &Config) -> anyhow::Result<u8> {
    let socket = config.state.join("control.sock");
    let Some(status) = control::status(&socket).await? else {
        return Err(anyhow!(
            "no bastion runs here (nobody answers at {}): start it with `portcullis serve`",
            socket.display()
        ));
    };
    let text = match args.json {
        true => serde_json::to_string(&status)?,
        false => table(&status)?,
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(0)
}

/// The fields as they are named in the JSON: one list to learn.
fn table(status: &Status) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    collect("", &serde_json::to_value(status)?, &mut lines);
    Ok(lines.join("\n"))
}

fn collect(name: &str, value: &serde_json::Value, lines: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        lines.push(format!("{name:<32} {text}"));
        return;
    };
    for (field, value) in fields {
        let name = match name {
            "" => field.clone(),
            outer => format!("{outer}.{field}"),
        };
        collect(&name, value, lines);
    }
}
