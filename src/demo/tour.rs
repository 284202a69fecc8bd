//! The story that the demo tells, from `init` to the replay. Each step says what it does, does it,
//! and shows what came out; nothing is shown that did not happen.

use super::child::GREETING;
use super::installation::{Bastion, IDENTITY, Installation, LOGIN, LOOK};
use super::ssh::{self, Mirror, Sitting, Step};
use super::target::target;
use crate::clock::Clock;
use russh::keys::ssh_key::PublicKey;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const REASON: &str = "look around in the demo";
const TICKET: &str = "DEMO-1";
/// The shell computes it, so that the answer is the target's and not the echo of what was typed.
const QUESTION: &str = "echo \"recorded-$((6 * 7))\"\r";
const ANSWER: &str = "recorded-42";
/// The index is filled beside the session.
const INDEX_PATIENCE: Duration = Duration::from_secs(10);
/// Lines of the recording that are shown.
const EVENTS_SHOWN: usize = 12;
const LINE_CHARS_MAX: usize = 200;

/// Why the demo did not come to its good end, for a person.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    Step(String),
    #[error("{doing}: {source}")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
}

type Told<T> = Result<T, Trouble>;

fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> Trouble {
    move |source| Trouble::Io { doing, source }
}

/// Tells the story; with `check` returns after it, else stays up until Ctrl-C. Nothing is left
/// behind on any way out but SIGKILL.
///
/// # Errors
/// [`Trouble`] names the step that failed and what it said.
pub async fn run(check: bool, dir: Option<PathBuf>) -> Result<(), Trouble> {
    if !ssh::is_installed().await {
        return Err(Trouble::Step(
            "the demo drives the real `ssh`, and this machine has none\n\
             hint: install it (Debian, Ubuntu: apt-get install openssh-client)"
                .to_owned(),
        ));
    }
    // Before there is anything to remove.
    let told_to_end = told_to_end().map_err(doing("cannot listen to signals"))?;
    let house = Installation::new(dir).map_err(doing("cannot make the demo's directory"))?;
    let stop = CancellationToken::new();
    let story = tell(&house, check, &stop);
    tokio::pin!(story);
    tokio::select! {
        told = &mut story => told,
        () = told_to_end => {
            stop.cancel();
            story.await
        }
    }
}

/// Ctrl-C, a closed terminal, or whoever ends us politely.
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

async fn tell(house: &Installation, check: bool, stop: &CancellationToken) -> Told<()> {
    say(&format!(
        "Everything of this demo is in {}.",
        house.dir.display()
    ))?;

    let init = house.config();
    let init = init.parent().unwrap_or(&house.dir).display().to_string();
    step(1, "An installation", &format!("portcullis init {init}"))?;
    house.verb(&["init", &init]).await.map_err(Trouble::Step)?;

    let target_ca = public_key(house, "target_ca.pub")?;
    let started = target(&target_ca, LOGIN, Clock::system()).await;
    let started = started.map_err(doing("cannot start the demo's target"))?;
    step(
        2,
        "A target, `db1`",
        &format!("(inside this demo, on {})", started.address),
    )?;
    say("   It trusts this installation's target CA and nobody else.")?;
    let written = house.write_target(started.address, &started.fingerprint);
    written.map_err(doing("cannot write the target into portcullis.toml"))?;

    step(3, "The bastion", "portcullis serve")?;
    let mut bastion = house.serve().await.map_err(Trouble::Step)?;
    let told = tokio::select! {
        told = session(house, &mut bastion, check) => told,
        () = stop.cancelled() => interrupted(check),
    };
    started.stop().await;
    let stopped = bastion.stop().await.map_err(Trouble::Step);
    told.and(stopped)?;
    if check {
        say("\nAll of it worked.")?;
    }
    Ok(())
}

/// The end that was waited for, or one that came too early.
fn interrupted(check: bool) -> Told<()> {
    match check {
        true => Err(Trouble::Step("ended before all of it was tried".to_owned())),
        false => say("\nEnding."),
    }
}

async fn session(house: &Installation, bastion: &mut Bastion, check: bool) -> Told<()> {
    say(&format!("   It listens on {}.", house.address))?;
    certify(house).await?;
    let sitting = visit(house, bastion).await?;
    look(house, &sitting).await?;
    play(house).await?;
    if check {
        return Ok(());
    }
    stay(house, bastion).await
}

async fn certify(house: &Installation) -> Told<()> {
    let key = house
        .write_user_key()
        .map_err(doing("cannot write a user key"))?;
    let written = house.write_ssh_config(&key);
    written.map_err(doing("cannot write the ssh_config"))?;
    let public = key.with_extension("pub").display().to_string();
    let words = [
        "ca",
        "issue",
        "--identity",
        IDENTITY,
        "--principal",
        LOGIN,
        "--ticket",
        TICKET,
        "--for",
        "1h",
        "--reason",
        REASON,
        &public,
    ];
    let shown = format!(
        "portcullis ca issue --identity {IDENTITY} --principal {LOGIN} --ticket {TICKET} --for 1h \\\n\
         {:11}--reason \"{REASON}\" {public}",
        ""
    );
    step(4, "A certificate for Ana, with reason and ticket", &shown)?;
    house.verb(&words).await.map_err(Trouble::Step)?;
    Ok(())
}

async fn visit(house: &Installation, bastion: &Bastion) -> Told<Sitting> {
    let config = house.ssh_config();
    let words = ["-J", "bastion", "demo@db1"];
    let shown = format!("ssh -F {} {}", config.display(), words.join(" "));
    step(
        5,
        "A session, with the OpenSSH client of this machine",
        &shown,
    )?;
    let greeting = std::str::from_utf8(GREETING).unwrap_or_default().trim_end();
    let steps = [
        Step {
            shown: greeting,
            typed: QUESTION,
        },
        Step {
            shown: ANSWER,
            typed: "exit\r",
        },
    ];
    let config = config.display().to_string();
    let all = [&["-F", config.as_str()][..], &words[..]].concat();
    let sitting = ssh::sit(Path::new("ssh"), &all, &steps, Mirror::No).await;
    let sitting = sitting.map_err(doing("cannot run ssh"))?;
    quote(&sitting.screen)?;
    if sitting.status.success() && sitting.screen.contains(ANSWER) {
        return Ok(sitting);
    }
    let what = format!(
        "did not let the session through: ssh ended with {} and this on its screen:\n{}",
        sitting.status,
        sitting.screen.trim()
    );
    Err(Trouble::Step(bastion.complaint(&what)))
}

async fn look(house: &Installation, sitting: &Sitting) -> Told<()> {
    step(6, "What the bastion knows of it", "portcullis sessions")?;
    let session = ended_session(house).await?;
    for (field, expected) in [
        ("identity", IDENTITY),
        ("target", "db1"),
        ("login", LOGIN),
        ("ticket", TICKET),
        ("justification", REASON),
    ] {
        if session.get(field).and_then(|value| value.as_str()) != Some(expected) {
            let message = format!("the session does not say {field} = `{expected}`: {session}");
            return Err(Trouble::Step(message));
        }
    }
    quote(&house.verb(&["sessions"]).await.map_err(Trouble::Step)?)?;

    step(7, "Its recording, event by event", "portcullis events last")?;
    let events = house
        .verb(&["events", "last"])
        .await
        .map_err(Trouble::Step)?;
    for expected in [
        "\"kind\":\"session.start\"",
        "\"kind\":\"shell\"",
        "\"kind\":\"session.end\"",
    ] {
        if !events.contains(expected) {
            let message = format!("the recording lacks {expected}:\n{events}");
            return Err(Trouble::Step(message));
        }
    }
    let more = events.lines().count().saturating_sub(EVENTS_SHOWN);
    let shown: Vec<&str> = events.lines().take(EVENTS_SHOWN).collect();
    quote(&shown.join("\n"))?;
    if more > 0 {
        say(&format!("   ... and {more} more"))?;
    }

    step(
        8,
        "The same as the person saw it",
        "portcullis transcript last",
    )?;
    let transcript = house.verb(&["transcript", "last"]).await;
    let transcript = transcript.map_err(Trouble::Step)?;
    quote(&transcript)?;
    if !transcript.contains(ANSWER) || !sitting.screen.contains(ANSWER) {
        let message = format!("the transcript lacks `{ANSWER}`:\n{transcript}");
        return Err(Trouble::Step(message));
    }
    Ok(())
}

/// The real player, on a terminal of its own; where somebody watches, on theirs as well.
async fn play(house: &Installation) -> Told<()> {
    step(
        9,
        "And as it happened",
        "portcullis replay last --max-idle 1s",
    )?;
    let config = house.config().display().to_string();
    let words = ["--config", &config, "replay", "last", "--max-idle", "1s"];
    let steps = [
        Step {
            shown: ANSWER,
            typed: "",
        },
        Step {
            shown: "end ",
            typed: "q",
        },
    ];
    let mirror = Mirror::if_wide_enough();
    let played = ssh::sit(&house.program, &words, &steps, mirror).await;
    let played = played.map_err(doing("cannot play the session"))?;
    if !played.status.success() || !played.screen.contains(ANSWER) {
        let message = format!(
            "`portcullis replay last` ended with {} and did not show `{ANSWER}`",
            played.status
        );
        return Err(Trouble::Step(message));
    }
    say("   It played to its end.")
}

/// The one session there is, once the index knows that it ended.
async fn ended_session(house: &Installation) -> Told<serde_json::Value> {
    let look = async {
        loop {
            let text = house.verb(&["sessions", "--json"]).await;
            let text = text.map_err(Trouble::Step)?;
            let found: Vec<serde_json::Value> = serde_json::from_str(&text).map_err(|error| {
                Trouble::Step(format!(
                    "`portcullis sessions --json` is no list: {error}\n{text}"
                ))
            })?;
            let ended = |session: &serde_json::Value| session.get("active") == Some(&false.into());
            if let Some(session) = found.into_iter().find(ended) {
                return Ok(session);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(INDEX_PATIENCE, look)
        .await
        .unwrap_or_else(|_| {
            Err(Trouble::Step(
                "`portcullis sessions` shows no ended session".into(),
            ))
        })
}

async fn stay(house: &Installation, bastion: &mut Bastion) -> Told<()> {
    let ssh = format!("ssh -F {}", house.ssh_config().display());
    let program = house.program.display();
    let config = house.config();
    let config = config.display();
    say("\nNow you, in another terminal. Each line works as it stands:")?;
    for (what, line) in [
        ("a session of your own", format!("{ssh} db1")),
        ("a command", format!("{ssh} db1 uname -a")),
        (
            "what Ana may reach; type to filter, Enter connects",
            format!("{ssh} bastion"),
        ),
        ("what Ana may see of it", format!("{ssh} bastion sessions")),
        (
            "the last session, played; q quits",
            format!("{ssh} -t bastion replay last"),
        ),
        (
            "the same list, as the operator",
            format!("{program} --config {config} sessions"),
        ),
        (
            "all about the last session",
            format!("{program} --config {config} sessions show last"),
        ),
    ] {
        say(&format!("\n  {what}:\n    {line}"))?;
    }
    say(match house.is_kept() {
        true => "\nCtrl-C here ends the demo; its directory stays, with its keys.",
        false => "\nCtrl-C here ends the demo and removes everything.",
    })?;
    Err(Trouble::Step(bastion.ended().await))
}

fn public_key(house: &Installation, name: &str) -> Told<PublicKey> {
    let text = house.public_key(name);
    let text = text.map_err(doing("cannot read what `init` wrote"))?;
    PublicKey::from_openssh(&text)
        .map_err(|error| Trouble::Step(format!("`{name}` is no public key: {error}")))
}

fn step(number: u8, title: &str, command: &str) -> Told<()> {
    say(&format!("\n{number}. {title}\n   $ {command}"))
}

/// Output of others, indented and cut. Control codes are taken out: this is a list, not a terminal.
fn quote(text: &str) -> Told<()> {
    for line in text.lines() {
        let clean: String = line.chars().filter(|c| !c.is_control()).collect();
        let cut: String = clean.chars().take(LINE_CHARS_MAX).collect();
        let dots = if cut.len() < clean.len() { "..." } else { "" };
        say(&format!("   | {cut}{dots}"))?;
    }
    Ok(())
}

fn say(text: &str) -> Told<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").map_err(doing("cannot write to standard output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_not_in_the_question() {
        assert!(!QUESTION.contains(ANSWER));
    }
}
