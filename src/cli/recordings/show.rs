//! `sessions show ID`: who, why, where, how long, what, what was refused, how it ended. What one
//! pastes into an incident.

use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, json, line_end, print};
use crate::cli::when::{Zone, length};
use crate::event::{Approver, End, Kind, Shown, WhySource};
use crate::policy::Action;
use crate::proxy::Call;
use crate::replay::{self, Channel, Listed, Ran, Story, Unseen};
use crate::store::{Review, Row};
use serde::Serialize;

#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Session id, a unique part of it, or `last`.
    pub id: String,
    /// One object instead of text.
    #[arg(long)]
    pub json: bool,
}

pub(crate) async fn run(args: &ShowArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = show(args, look, by, call).await;
    finish(done, call).await
}

async fn show(args: &ShowArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    let view = |session| Kind::View {
        verb: "sessions show".to_owned(),
        session: Some(session),
    };
    let row = look.open(by, Action::View, &args.id, view).await?;
    let archive = look.archive.clone();
    let story = tokio::task::spawn_blocking(move || {
        let mut story = Story::default();
        for step in archive.whole(row.id)?.of_ended(!row.active()) {
            story.tell(&step?);
        }
        Ok::<_, replay::Error>((row, story.finish()))
    });
    let (row, story) = story
        .await
        .map_err(|error| Fault::Broken(error.to_string()))??;
    let damaged = story.damage.total > 0;
    let reviews = look.store.reviews(row.id).await?;
    let left_out = look.store.left_out([row.id]).await?;
    let left_out = left_out.get(&row.id).copied().unwrap_or(0);
    let zone = Zone::of(&call.env);
    let text = match args.json {
        true => json(&Told {
            row: &row,
            node: row.node.as_deref(),
            source_ip: row.who.source_ip.as_deref(),
            why_source: row.why.source,
            reviews: &reviews,
            screen_lines_not_searched: left_out,
            story: &story,
        })?,
        false => {
            render(&row, &story, zone, look) + &unsearched(left_out) + &signed_off(&reviews, zone)
        }
    };
    let end = line_end(call);
    print(&mut call.output, end, &text).await?;
    Ok(if damaged { 4 } else { 0 })
}

/// The object of `sessions --json`, and what the events say.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    row: &'a Row,
    node: Option<&'a str>,
    source_ip: Option<&'a str>,
    why_source: Option<WhySource>,
    reviews: &'a [Review],
    /// They are in `transcript` alone.
    screen_lines_not_searched: u64,
    story: &'a Story,
}

fn unsearched(left_out: u64) -> String {
    let mut text = String::new();
    if left_out > 0 {
        let what = format!("{left_out} lines of its screens are not in the index: `transcript ID`");
        say(&mut text, "search", &what);
    }
    text
}

/// Who looked at it and what came of it.
fn signed_off(reviews: &[Review], zone: Zone) -> String {
    let mut text = String::new();
    for review in reviews {
        let (who, at) = (Shown(&review.identity), zone.show(review.at));
        text += &format!(
            "{:<10} by {who}, {at}: {}\n",
            "reviewed",
            Shown(&review.note)
        );
    }
    text
}

fn render(row: &Row, story: &Story, zone: Zone, look: &Look) -> String {
    let mut text = String::new();
    let mut say = |name: &str, what: &str| say(&mut text, name, what);
    say("session", &row.id.to_string());
    say("who", &who(row, story));
    say("why", &why(row, story));
    say("where", &place(row, story));
    if let Some(target) = &story.target {
        say("", target);
    }
    let (until, ended) = match row.end {
        Some((time, _)) => (time, zone.show(time)),
        None => (look.clock.now_utc(), "now".to_owned()),
    };
    let length = length(row.start, until);
    say(
        "when",
        &format!("{} to {ended} ({length})", zone.show(row.start)),
    );
    say("ended", &end(row, story));
    say(
        "bytes",
        &format!("{} in, {} out", row.input_bytes, row.output_bytes),
    );
    for (number, channel) in &story.channels {
        say("channel", &format!("{number}  {}", describe(channel)));
    }
    let shown = story.channels.len() as u64;
    if row.channels > shown {
        say("channel", &format!("and {} more", row.channels - shown));
    }
    text + &happened(story, zone)
}

/// What was done, list by list.
fn happened(story: &Story, zone: Zone) -> String {
    let mut text = String::new();
    list(
        &mut text,
        ("command", "--kind command"),
        &story.commands,
        |ran| command(ran, zone),
    );
    list(
        &mut text,
        ("blind", "--kind blind"),
        &story.blind,
        |unseen| blind(unseen, zone),
    );
    if story.secret_lines > 0 {
        let what = format!("typed lines that were not shown: {}", story.secret_lines);
        say(&mut text, "secret", &what);
    }
    for (name, kinds, entries) in [
        ("file", "--kind 'sftp.*' 'scp.*' rsync git", &story.files),
        ("forward", "--kind 'forward.*'", &story.forwards),
        ("agent", "--kind 'agent.*'", &story.agent),
        ("refused", "", &story.refused),
        ("notable", "", &story.notable),
        ("DAMAGED", "", &story.damage),
    ] {
        list(&mut text, (name, kinds), entries, Clone::clone);
    }
    text
}

fn list<T>(
    text: &mut String,
    (name, kinds): (&str, &str),
    entries: &Listed<T>,
    show: impl Fn(&T) -> String,
) {
    let (first, more, last) = entries.parts();
    for entry in first {
        say(text, name, &show(entry));
    }
    if more > 0 {
        let verb = format!("events ID {kinds}");
        say(text, name, &format!("{more} more: `{}`", verb.trim_end()));
    }
    for entry in last {
        say(text, name, &show(entry));
    }
}

fn say(text: &mut String, name: &str, what: &str) {
    *text += &format!("{name:<10} {}\n", Shown(what));
}

/// The text comes last: nothing in it can pass for what we say of it.
fn command(ran: &Ran, zone: Zone) -> String {
    let exit = ran.exit_status.map(|exit| format!(", exit status {exit}"));
    let (at, sure) = (zone.show(ran.at), word(ran.confidence));
    let exit = exit.unwrap_or_default();
    format!("{at} ({sure}{exit})  {}", ran.text)
}

fn blind(unseen: &Unseen, zone: Zone) -> String {
    let reason = word(unseen.reason);
    let (from, long) = (zone.show(unseen.from), length(unseen.from, unseen.to));
    format!("{from} for {long}: {}", reason.replace('_', " "))
}

fn who(row: &Row, story: &Story) -> String {
    let mut text = row
        .who
        .identity
        .as_ref()
        .map_or("unknown", |who| who.as_str())
        .to_owned();
    if let Some(who) = &story.who {
        if !who.groups.is_empty() {
            text += &format!(" (groups {})", who.groups.join(", "));
        }
        if let Some(certificate) = &who.certificate {
            let (key_id, serial) = (&certificate.key_id, certificate.serial);
            text += &format!(
                ", certificate `{key_id}` serial {serial} of CA {}",
                certificate.ca
            );
        }
    }
    if let Some(ip) = &row.who.source_ip {
        text += &format!(", from {ip}");
    }
    if let Some(client) = &story.client {
        text += &format!(" with {client}");
    }
    text
}

fn why(row: &Row, story: &Story) -> String {
    let mut text = row
        .why
        .justification
        .clone()
        .unwrap_or_else(|| "no reason given".to_owned());
    if let Some(ticket) = &row.why.ticket {
        text += &format!(" (ticket {ticket})");
    }
    if let Some(source) = row.why.source {
        text += &format!(", said by {}", word(source));
    }
    if let Some(why) = &story.why {
        if let Some(grant) = &why.grant {
            text += &format!(", grant {grant}");
        }
        if !why.approvers.is_empty() {
            let names: Vec<&str> = why
                .approvers
                .iter()
                .map(|one: &Approver| one.subject.as_str())
                .collect();
            text += &format!(", approved by {}", names.join(", "));
        }
        if why.break_glass {
            text += ", BREAK-GLASS";
        }
        for (name, claim) in why.claimed.iter().flat_map(|claimed| &claimed.0) {
            text += &format!(", claimed {name} `{claim}`");
        }
    }
    text
}

fn place(row: &Row, story: &Story) -> String {
    let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut text = format!("{} as {}", known(&row.target), known(&row.login));
    if let Some(address) = &story.address {
        text += &format!(" at {address}");
    }
    text += &format!(", through the door `{}`", row.door);
    if let Some(node) = &row.node {
        text += &format!(" of node {node}");
    }
    text
}

fn end(row: &Row, story: &Story) -> String {
    let text = ending(row);
    match &story.end_detail {
        Some(detail) => format!("{text}: {detail}"),
        None => text,
    }
}

/// How it ended, in a word.
pub(crate) fn ending(row: &Row) -> String {
    match row.end {
        Some((_, reason)) => word::<End>(reason),
        None => "active".to_owned(),
    }
}

fn describe(channel: &Channel) -> String {
    let mut text = match channel.ran.is_empty() {
        true => "nothing was run".to_owned(),
        false => channel.ran.join("; "),
    };
    if let Some(pty) = &channel.pty {
        text += &format!(", terminal {pty}");
    }
    match &channel.close {
        None => text += ", open",
        Some(close) => {
            match (close.exit_status, &close.exit_signal) {
                (Some(status), _) => text += &format!(", exit status {status}"),
                (None, Some(signal)) => text += &format!(", signal {}", signal.0),
                (None, None) => text += ", no exit status",
            }
            text += &format!(", {} in, {} out", close.input_bytes, close.output_bytes);
        }
    }
    text
}

/// The word of an enum as events spell it.
fn word<T: Serialize>(value: T) -> String {
    let value = serde_json::to_value(value).ok();
    let word = value.as_ref().and_then(|value| value.as_str());
    word.unwrap_or("unknown").to_owned()
}
