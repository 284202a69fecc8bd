//! The verbs of guests on the node itself: through the running bastion, or on its state directory
//! where none runs.

use super::control::{self, Ends, Wanted};
use crate::access::Caller;
use crate::cli::answer::ENOUGH;
use crate::cli::files::{self, Beside, Place, Trouble};
use crate::cli::raw::{self, RawTerminal};
use crate::cli::tree::RemoteVerb;
use crate::cli::verbs::CliVerbs;
use crate::cli::words::json_last;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::id::SessionId;
use crate::proxy::{Call, Taking, VerbEnd, Verbs};
use crate::server::Parts;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What a verb answers that would lead on to a target: an operator has no certificate for one.
const DENIED: u8 = 3;
const FAULT: u8 = 4;
/// Between the answer and the disk.
const PIPE_BYTES: usize = 256 * 1024; // 256 KiB

/// Runs it, with the terminal as it was on every way out.
///
/// # Errors
/// What keeps the verb from being asked.
pub(crate) async fn run(verb: &RemoteVerb, config: &Config) -> anyhow::Result<u8> {
    let draws = matches!(verb, RemoteVerb::Replay(_));
    // Restored when this goes, also when a signal ends the wait below.
    let _raw = match draws {
        true => RawTerminal::enter()?,
        false => None,
    };
    let size = watch::Sender::new(terminal_size().unwrap_or_default());
    let wanted = Wanted {
        line: own_words().join(" "),
        terminal: terminal_size(),
        env: own_zone(),
        taking: Taking::Stream,
    };
    let mut ends = Ends {
        output: Box::new(tokio::io::stdout()),
        errors: Box::new(tokio::io::stderr()),
    };
    tokio::select! {
        code = ask(wanted, config, size.subscribe(), &mut ends) => code,
        code = raw::until_signal() => Ok(code?),
        failed = follow(&size) => Err(failed?),
    }
}

/// Runs a verb whose answer is files, which this process writes. `words` are those of the verb.
///
/// # Errors
/// What keeps the verb from being asked.
pub(crate) async fn run_to(words: &[String], place: Place, config: &Config) -> anyhow::Result<u8> {
    let taking = match place {
        Place::Folder(_) => Taking::Several,
        Place::Standard | Place::One { .. } => Taking::One,
    };
    let wanted = Wanted {
        line: words.join(" "),
        // An answer that would go to one is refused.
        terminal: match place {
            Place::Standard => terminal_size(),
            Place::One { .. } | Place::Folder(_) => None,
        },
        env: own_zone(),
        taking,
    };
    let bar = files::bar();
    let (output, answer) = duplex(PIPE_BYTES);
    let mut ends = Ends {
        output: Box::new(output),
        errors: Box::new(Beside(bar.clone())),
    };
    let asking = async {
        let size = watch::Sender::new((0, 0));
        let code = ask(wanted, config, size.subscribe(), &mut ends).await;
        // The end of the answer.
        drop(ends);
        code
    };
    let (code, received) = tokio::select! {
        both = async { tokio::join!(asking, files::receive(answer, place, &bar)) } => both,
        code = raw::until_signal() => return Ok(code?),
    };
    match received {
        // Whatever the verb made of it that nobody took its answer.
        Err(Trouble::Enough) => Ok(ENOUGH),
        Err(Trouble::Failed(text)) => {
            let text = format!("portcullis: {text}\n");
            Beside(bar).write_all(text.as_bytes()).await?;
            Ok(FAULT)
        }
        Ok(_) => code,
    }
}

async fn ask(
    wanted: Wanted,
    config: &Config,
    size: watch::Receiver<(u16, u16)>,
    ends: &mut Ends,
) -> anyhow::Result<u8> {
    let socket = config.state.join("control.sock");
    if let Some(code) = control::call(&socket, &wanted, size.clone(), ends).await? {
        return Ok(code);
    }
    let parts = Parts::open(Arc::new(config.clone())).await?;
    parts.catch_up().await?;
    if wanted.line.split_whitespace().next() == Some("search") {
        parts.catch_up_search().await?;
    }
    let caller = Caller::Operator {
        user: config::user_name(),
    };
    let mut call = own_call(wanted.line);
    call.terminal = wanted.terminal.map(|_| size);
    call.env = wanted.env;
    if wanted.taking != Taking::Stream {
        call.taking = wanted.taking;
        call.output = std::mem::replace(&mut ends.output, Box::new(tokio::io::sink()));
        call.errors = std::mem::replace(&mut ends.errors, Box::new(tokio::io::stderr()));
    }
    let end = CliVerbs::new(&parts).run(caller, call).await;
    parts.close().await?;
    Ok(match end {
        VerbEnd::Exit(code) => code,
        VerbEnd::Connect(_) => DENIED,
    })
}

/// The window's size, each time it changes. Never ends but in an error.
async fn follow(size: &watch::Sender<(u16, u16)>) -> anyhow::Result<anyhow::Error> {
    let mut changed = signal(SignalKind::window_change())?;
    loop {
        changed.recv().await;
        if let Some(now) = terminal_size() {
            size.send_replace(now);
        }
    }
}

/// Columns and rows, where the answer goes to a terminal.
fn terminal_size() -> Option<(u16, u16)> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    Some((size.ws_col, size.ws_row))
}

/// Times are meant where the caller is.
fn own_zone() -> Vec<(String, String)> {
    let zone = config::time_zone();
    zone.map(|zone| ("TZ".to_owned(), zone))
        .into_iter()
        .collect()
}

/// The words after the program and `--config FILE`.
pub(crate) fn own_words() -> Vec<String> {
    let mut words = Vec::new();
    let mut arguments = json_last(std::env::args().collect()).into_iter().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            // What follows may be looked for, whatever it is.
            "search" if words.is_empty() => {
                words.push(word);
                words.extend(arguments.by_ref());
            }
            "--config" => drop(arguments.next()),
            word if word.starts_with("--config=") => {}
            _ => words.push(word),
        }
    }
    words
}

pub(crate) fn own_call(line: String) -> Call {
    Call {
        line,
        input: Box::new(tokio::io::stdin()),
        output: Box::new(tokio::io::stdout()),
        errors: Box::new(tokio::io::stderr()),
        terminal: None,
        env: Vec::new(),
        taking: Taking::Stream,
        reference: SessionId::at(Clock::system().now()),
    }
}
