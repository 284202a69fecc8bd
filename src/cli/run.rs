//! The node's command line: each verb to its file, each error to a sentence.

use super::answer::ENOUGH;
use super::node::control;
use super::node::{
    certificates, doctor, index, init, inspect, local, policy, setup, status, taking,
};
use super::tree::{CaVerb, Local, LocalVerb, RemoteVerb};
use super::verbs::CliVerbs;
use super::words::json_last;
use crate::config::{self, Config};
use crate::proxy::Verbs;
use crate::server::{self, Parts};
use anyhow::anyhow;
use clap::{CommandFactory, Parser};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Wrong usage or configuration.
const USAGE: u8 = 2;
const FAULT: u8 = 4;

/// Everything that `main` does.
pub fn main() -> ExitCode {
    let words = match Local::try_parse_from(json_last(std::env::args().collect())) {
        Ok(words) => words,
        Err(error) if error.use_stderr() => {
            return complain(
                &anyhow!(super::usage::mistake(&error, &Local::command())),
                USAGE,
            );
        }
        Err(help) => {
            // Nobody is left to tell when standard output is gone.
            drop(help.print());
            return ExitCode::SUCCESS;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&anyhow!(error), FAULT),
    };
    let done = runtime.block_on(run(words));
    // A read of standard input cannot be called back: it must not keep us until somebody types.
    runtime.shutdown_background();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_enough(&error) => ExitCode::from(ENOUGH),
        Err(error) => complain(&error, USAGE),
    }
}

/// Standard output went away (`| head`); sockets of ours are told apart where they are written to.
fn is_enough(error: &anyhow::Error) -> bool {
    let broken = error.downcast_ref::<io::Error>();
    broken.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(io::stderr(), "portcullis: {error:#}"));
    ExitCode::from(code)
}

async fn run(words: Local) -> anyhow::Result<u8> {
    let flag = words.config.as_deref();
    match words.verb {
        LocalVerb::Init { dir } => init::run(&dir).map(|()| 0),
        LocalVerb::Demo { check, dir } => {
            let tried = crate::demo::run(check, dir).await;
            if let Err(trouble) = &tried {
                writeln!(io::stderr(), "portcullis: {trouble}")?;
            }
            Ok(if tried.is_ok() { 0 } else { FAULT })
        }
        LocalVerb::Serve => serve(load(flag)?).await,
        LocalVerb::Status(args) => status::run(args, &load(flag)?).await,
        LocalVerb::Doctor(args) => doctor::run(args, flag).await,
        LocalVerb::Ca(CaVerb::Issue(args)) => certificates::issue(&args, &load(flag)?).await,
        LocalVerb::Ca(CaVerb::Both(verb)) => {
            let mut call = local::own_call(String::new());
            Ok(certificates::on_node(&verb, || load(flag), &mut call).await)
        }
        LocalVerb::Index(args) => {
            let parts = open(flag).await?;
            let screen = parts.config.index_screen;
            let mut call = local::own_call(String::new());
            let code = index::run(&args, &parts.archive, &parts.store, screen, &mut call).await;
            parts.close().await?;
            Ok(code)
        }
        LocalVerb::Inspect(args) => Ok(inspect::run(&args)),
        LocalVerb::Completions { shell } => {
            let mut command = Local::command();
            // It panics where it cannot write, which memory always lets it.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "portcullis", &mut text);
            io::stdout().write_all(&text)?;
            Ok(0)
        }
        LocalVerb::Man => {
            clap_mangen::Man::new(Local::command()).render(&mut io::stdout())?;
            Ok(0)
        }
        LocalVerb::Export(args) => taking::export(&args, &load(flag)?).await,
        LocalVerb::Report(args) => taking::report(&args, &load(flag)?).await,
        // What the policies are is asked when they are broken, too: the running bastion has others.
        LocalVerb::Remote(RemoteVerb::Policy(verb)) => {
            let mut call = local::own_call(String::new());
            Ok(policy::run(&verb, &load(flag)?, &mut call).await)
        }
        LocalVerb::Remote(RemoteVerb::TargetSetup(args)) => {
            let mut call = local::own_call(String::new());
            Ok(setup::run(&args, &load(flag)?, &mut call).await)
        }
        LocalVerb::Remote(verb) => local::run(&verb, &load(flag)?).await,
    }
}

fn load(flag: Option<&Path>) -> anyhow::Result<Config> {
    let file = config::find(flag).map_err(|message| anyhow!(message))?;
    Config::load(&file).map_err(|faults| anyhow!("the configuration is not good\n{faults}"))
}

async fn open(flag: Option<&Path>) -> anyhow::Result<Parts> {
    Parts::open(Arc::new(load(flag)?)).await
}

async fn serve(config: Config) -> anyhow::Result<u8> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        // A journal or a file keeps the words and not their colours.
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let socket = config.state.join("control.sock");
    let verbs = |parts: &Parts| -> Arc<dyn Verbs> { Arc::new(CliVerbs::new(parts)) };
    let control = |house, verbs, stop| async move {
        if let Err(error) = control::serve(&socket, house, verbs, stop).await {
            tracing::error!(%error, socket = %socket.display(), "verbs on the node do not work");
        }
    };
    server::run(config, verbs, control).await?;
    Ok(0)
}
