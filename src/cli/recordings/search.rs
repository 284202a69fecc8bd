//! `search WORDS...`: lines of what was run, moved and shown, and how to get to that moment.

use super::filter::FilterArgs;
use super::look::{Look, Looker};
use crate::cli::answer::{Fault, finish, json, line_end, print, remark};
use crate::cli::when::Zone;
use crate::event::{Confidence, Kind, Outcome, SearchFact, Shown};
use crate::id::SessionId;
use crate::inspect::mask;
use crate::policy::Action;
use crate::proxy::Call;
use crate::store::{Class, Filter, Found, Hit, Phrase, Row, Search};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Lines unless they ask for more, and at most.
const LIMIT: u16 = 50;
const LIMIT_MAX: i64 = 1000;
/// Characters shown before and behind the words.
const AROUND: usize = 60;
/// A replay starts so much before the moment: one sees it come.
const BEFORE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, clap::Args)]
pub struct SearchArgs {
    /// Where to look: everywhere without it; several with commas.
    #[arg(long = "in", value_enum, value_delimiter = ',')]
    pub within: Vec<Within>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only commands that ended with this status.
    #[arg(long, allow_hyphen_values = true)]
    pub exit: Option<i64>,
    /// Only commands that are at least so sure.
    #[arg(long, value_enum)]
    pub confidence: Option<AtLeast>,
    /// At most so many, newest first.
    #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX))]
    pub limit: u16,
    /// An array of objects instead of text.
    #[arg(long)]
    pub json: bool,
    /// Literal words; upper and lower case are the same. Behind `--` options are words as well.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Within {
    Commands,
    Files,
    Forwards,
    Screen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AtLeast {
    Low,
    Medium,
    High,
}

pub async fn run(args: &SearchArgs, look: &Look, by: &Looker, call: &mut Call) -> u8 {
    let done = search(args, look, by, call).await;
    finish(done, call).await
}

async fn search(args: &SearchArgs, look: &Look, by: &Looker, call: &mut Call) -> Result<u8, Fault> {
    let zone = Zone::of(&call.env);
    let words = args.words.join(" ");
    let phrase = Phrase::parse(&words).map_err(|error| Fault::Usage(error.to_string()))?;
    let filter = args.filter.filter(zone, look)?;
    let classes = classes(args);
    let fact = SearchFact {
        words: mask(&words),
        within: classes
            .iter()
            .map(|class| class.name().to_owned())
            .collect(),
        filter: filter_words(args),
    };
    let kind = Kind::Search(Box::new(fact));
    look.record(by, kind, Outcome::Success).await?;
    let search = Search {
        phrase,
        classes,
        filter,
        exit: args.exit,
        confidence: args.confidence.map(Confidence::from),
        owners: look.owners(by, Action::View).await?,
        limit: args.limit.into(),
    };
    let allow = |row: &Row| look.allows(by, Action::View, row);
    let found = look.store.search(&search, allow).await?;
    let end = line_end(call);
    if args.json {
        let hits: Vec<Told> = found.hits.iter().map(Told::of).collect();
        print(&mut call.output, end, &json(&hits)?).await?;
    } else {
        for hit in &found.hits {
            print(&mut call.output, end, &render(hit, &search.phrase, zone)).await?;
        }
    }
    call.output.flush().await?;
    explain(&found, &search, zone, call).await?;
    if search.classes.contains(&Class::Screen) {
        tell_left_out(&found, look, call).await?;
    }
    if look.store.is_behind().await? {
        let text =
            "some sessions that ended are not read into the index yet: ask again in a moment";
        remark(call, text).await?;
    }
    if search.classes.contains(&Class::Screen) {
        tell_running(look, by, &search.filter, call).await?;
    }
    Ok(if found.hits.is_empty() { 1 } else { 0 })
}

/// What the answer does not show.
async fn explain(found: &Found, search: &Search, zone: Zone, call: &mut Call) -> Result<(), Fault> {
    if found.hits.is_empty() {
        remark(call, "nothing in sessions that you may see has these words").await?;
    }
    if found.more {
        let text = format!(
            "there are older ones: `--until` goes back further, `--limit` shows more than {}",
            search.limit
        );
        remark(call, &text).await?;
    }
    if let Some(time) = found.back_to {
        let time = zone.show(time);
        let why = match search.phrase.is_short() {
            true => "fewer than three characters are looked for line by line",
            false => "too many lines came near",
        };
        let text =
            format!("nothing before {time} was looked at, for {why}: `--until` goes on there");
        remark(call, &text).await?;
    }
    Ok(())
}

/// There may be more hits in a session of which only a part is in the index.
async fn tell_left_out(found: &Found, look: &Look, call: &mut Call) -> Result<(), Fault> {
    let sessions = found.hits.iter().map(|hit| hit.session.id);
    for (id, lines) in look.store.left_out(sessions).await? {
        let text = format!(
            "{lines} lines on the screens of session {id} are not in the index: `transcript {id}` \
             has them"
        );
        remark(call, &text).await?;
    }
    Ok(())
}

/// What is on the screens of sessions that run is not in the index yet.
async fn tell_running(
    look: &Look,
    by: &Looker,
    filter: &Filter,
    call: &mut Call,
) -> Result<(), Fault> {
    let filter = Filter {
        active: true,
        ..filter.clone()
    };
    if look.list(by, Action::View, filter).next().await?.is_some() {
        let text = "what is on the screens of sessions that still run is found when they end";
        remark(call, text).await?;
    }
    Ok(())
}

fn classes(args: &SearchArgs) -> Vec<Class> {
    let asked = |class: &Class| {
        let within = match class {
            Class::Commands => Within::Commands,
            Class::Files => Within::Files,
            Class::Forwards => Within::Forwards,
            Class::Screen => Within::Screen,
        };
        // Only commands have a status and are more or less sure.
        let has_them =
            *class == Class::Commands || (args.exit.is_none() && args.confidence.is_none());
        has_them && (args.within.is_empty() || args.within.contains(&within))
    };
    Class::ALL.into_iter().filter(asked).collect()
}

/// Who, where, when; the line; how to get there.
fn render(hit: &Hit, phrase: &Phrase, zone: Zone) -> String {
    let row = &hit.session;
    let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
    let who = row.who.identity.as_ref().map_or("?", |who| who.as_str());
    let mut text = format!(
        "{}  {}  {}@{}  {}",
        zone.show(hit.time),
        Shown(who),
        Shown(&known(&row.login)),
        Shown(&known(&row.target)),
        one(hit.class)
    );
    if let Some(confidence) = hit.confidence {
        text += &format!(" ({})", word(confidence));
    }
    if let Some(exit) = hit.exit {
        text += &format!(", exit status {exit}");
    }
    text += &format!("\n    {}\n", Shown(&around(&hit.text, phrase)));
    text += &format!("    replay {} --at {}\n", row.id, moment(hit.at));
    text
}

/// The words with what is beside them.
fn around(text: &str, phrase: &Phrase) -> String {
    let text = text.trim();
    let at = phrase.position(text).unwrap_or(0);
    let (before, from) = text.split_at_checked(at).unwrap_or(("", text));
    let skipped = before.chars().count().saturating_sub(AROUND);
    let before: String = before.chars().skip(skipped).collect();
    let shown: String = from.chars().take(AROUND + phrase.chars()).collect();
    let start = if skipped > 0 { "..." } else { "" };
    let end = if shown.len() < from.len() { "..." } else { "" };
    format!("{start}{before}{shown}{end}")
}

/// As `replay --at` reads it.
fn moment(at: Duration) -> String {
    let seconds = at.saturating_sub(BEFORE).as_secs();
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.replace(' ', "")
}

fn one(class: Class) -> &'static str {
    match class {
        Class::Commands => "command",
        Class::Files => "file",
        Class::Forwards => "forward",
        Class::Screen => "on screen",
    }
}

fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

/// A hit for machines.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "in")]
    class: Class,
    session: SessionId,
    seq: u64,
    time: String,
    identity: Option<&'a str>,
    target: Option<&'a str>,
    login: Option<&'a str>,
    ticket: Option<&'a str>,
    channel: Option<u32>,
    text: &'a str,
    exit_status: Option<i64>,
    confidence: Option<Confidence>,
    /// Milliseconds since the session started.
    at_ms: u64,
    replay: String,
}

impl<'a> Told<'a> {
    fn of(hit: &'a Hit) -> Self {
        let row = &hit.session;
        let time: DateTime<Utc> = hit.time;
        Self {
            class: hit.class,
            session: row.id,
            seq: hit.seq,
            time: time.to_rfc3339_opts(SecondsFormat::Millis, true),
            identity: row.who.identity.as_ref().map(|who| who.as_str()),
            target: row.target.as_deref(),
            login: row.login.as_deref(),
            ticket: row.why.ticket.as_deref(),
            channel: hit.channel,
            text: &hit.text,
            exit_status: hit.exit,
            confidence: hit.confidence,
            at_ms: u64::try_from(hit.at.as_millis()).unwrap_or(u64::MAX),
            replay: format!("replay {} --at {}", row.id, moment(hit.at)),
        }
    }
}

impl From<AtLeast> for Confidence {
    fn from(least: AtLeast) -> Self {
        match least {
            AtLeast::Low => Self::Low,
            AtLeast::Medium => Self::Medium,
            AtLeast::High => Self::High,
        }
    }
}

/// The options, as words that would ask for it again.
fn filter_words(args: &SearchArgs) -> String {
    let mut words = args.filter.words();
    words.extend(args.exit.map(|exit| format!("--exit {exit}")));
    words.extend(
        args.confidence
            .map(|least| format!("--confidence {}", word(least.into()))),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_starts_a_second_before_and_reads_what_is_printed() {
        for (ms, expected) in [
            (0, "0s"),
            (900, "0s"),
            (90_500, "1m29s"),
            (90_061_000, "1day1h1m"),
        ] {
            let text = moment(Duration::from_millis(ms));
            assert_eq!(text, expected);
            let read = humantime::parse_duration(&text).unwrap();
            let before = Duration::from_millis(ms).saturating_sub(BEFORE);
            assert!(before - read < Duration::from_secs(1), "{text}");
        }
    }

    #[test]
    fn the_words_stand_in_the_middle() {
        let phrase = Phrase::parse("NEEDLE").unwrap();
        let long = format!("{}a needle b{}", "x".repeat(300), "y".repeat(300));
        let around = around(&long, &phrase);
        assert!(
            around.starts_with("...xxx") && around.ends_with("yyy..."),
            "{around}"
        );
        assert!(around.contains("a needle b"));
        assert!(around.chars().count() < 200, "{around}");
        assert_eq!(super::around("a needle b", &phrase), "a needle b");
    }
}
