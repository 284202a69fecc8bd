//! `policy explain`: which policy decides, and why.

use super::policy::{USAGE, say};
use crate::access::{Question, load_policies};
use crate::cli::answer::{Fault, json, line_end, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::event::Shown;
use crate::id::{Login, Subject};
use crate::policy::{Action, Context, Destination, Explanation, Facts, Resource};
use crate::proxy::Call;
use crate::server;
use chrono::{DateTime, Utc};
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    #[arg(long)]
    pub identity: Subject,
    /// shell, exec, sftp, forward-local, forward-remote, forward-ssh, agent, x11, view, replay, export, end, use,
    /// revoke, administer.
    #[arg(long)]
    pub action: Action,
    #[arg(long)]
    pub target: Option<String>,
    #[arg(long)]
    pub login: Option<Login>,
    /// Of the certificate; those of the mapping file are added.
    #[arg(long)]
    pub group: Vec<String>,
    /// Of the certificate; default: the login.
    #[arg(long)]
    pub principal: Vec<String>,
    /// With a ticket.
    #[arg(long)]
    pub ticket: Option<String>,
    /// Where the reason comes from: grant, certificate, verb, env, prompt.
    #[arg(long)]
    pub why_source: Option<String>,
    /// The address they come from.
    #[arg(long)]
    pub source: Option<IpAddr>,
    #[arg(long, default_value = "jump")]
    pub door: String,
    /// The inner connection of a jump showed a certificate, too.
    #[arg(long)]
    pub certificate_inside: bool,
    /// When, as 2026-03-02T09:00:00Z; default: now.
    #[arg(long)]
    pub at: Option<DateTime<Utc>>,
    /// How long ago the certificate was issued, as 10m.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub certificate_age: Option<std::time::Duration>,
    /// Where a forward goes.
    #[arg(long, requires = "port")]
    pub host: Option<String>,
    #[arg(long, requires = "host")]
    pub port: Option<u16>,
    /// Or this unix socket.
    #[arg(long, conflicts_with = "host")]
    pub socket: Option<String>,
    /// Whose session is looked at or ended.
    #[arg(long)]
    pub owner: Option<Subject>,
    /// It was recorded under the certificate in use.
    #[arg(long)]
    pub same_certificate: bool,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

/// From what is on disk: what will be in force within a second, and what `check` checks.
pub(crate) async fn run(args: &ExplainArgs, config: &Config, call: &mut Call) -> Result<u8, Fault> {
    let (asked, file) = (args.clone(), config.file.clone());
    let work = tokio::task::spawn_blocking(move || explain(asked, &file)).await;
    let (facts, explanation) = match work.map_err(|e| Fault::Broken(e.to_string()))? {
        Ok(explained) => explained,
        Err(faults) => {
            say(call, &faults).await?;
            return Ok(USAGE);
        }
    };
    let end = line_end(call);
    let text = match args.json {
        true => json(&document(&explanation))?,
        false => sentences(&facts, &explanation),
    };
    print(&mut call.output, end, &text).await?;
    Ok(u8::from(!explanation.verdict.allowed))
}

fn explain(args: ExplainArgs, file: &Path) -> Result<(Facts, Explanation), Vec<String>> {
    let config = Config::load(file).map_err(|faults| faults.0)?;
    let policies = load_policies(&config.policies)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let targets = server::targets(&config)?;
    let trust = server::load_trust(&config).map_err(|error| vec![format!("{error:#}")])?;
    let mapped = trust.groups.get(args.identity.as_str());
    let question = question(args, mapped.map_or(&[], Vec::as_slice)).map_err(|bad| vec![bad])?;
    let facts = question.facts(&targets).map_err(|fault| vec![fault])?;
    let explanation = policies.explain(&facts);
    Ok((facts, explanation))
}

fn question(args: ExplainArgs, mapped: &[String]) -> Result<Question, String> {
    let mut groups = args.group;
    groups.extend(mapped.iter().cloned());
    let mut principals = args.principal;
    if principals.is_empty() {
        principals.extend(args.login.as_ref().map(ToString::to_string));
    }
    let destination = match (args.host.zip(args.port), &args.socket) {
        (Some((host, port)), _) => Some(Destination::of(args.action, &host, port.into())),
        (None, Some(path)) => Some(Destination::socket(path)),
        (None, None) => None,
    };
    let destination = destination
        .transpose()
        .map_err(|bad| format!("that is no place to forward to: {bad}"))?;
    let now = args.at.unwrap_or_else(|| Clock::system().now_utc());
    let age = args.certificate_age.unwrap_or_default().as_secs();
    Ok(Question {
        identity: args.identity,
        groups,
        principals,
        action: args.action,
        target: args.target,
        login: args.login,
        owner: args.owner,
        same_certificate: args.same_certificate,
        context: Context {
            source_ip: args.source,
            ticket: args.ticket.is_some(),
            why_source: args.why_source,
            certificate_age_s: i64::try_from(age).unwrap_or(i64::MAX),
            certificate_inside: args.certificate_inside,
            destination,
            ..Context::at(now, &args.door)
        },
    })
}

fn document(explanation: &Explanation) -> serde_json::Value {
    let deciding = explanation.deciding.iter();
    let deciding: Vec<_> = deciding
        .map(|(id, text)| serde_json::json!({ "id": id, "text": text }))
        .collect();
    serde_json::json!({
        "allowed": explanation.verdict.allowed,
        "policies": deciding,
        "errors": explanation.verdict.errors,
        "elsewhere": explanation.elsewhere,
    })
}

fn sentences(facts: &Facts, explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |words: &str| writeln!(text, "{words}").unwrap_or_default();
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => Shown(&names.join(", ")).to_string(),
    };
    line(match explanation.verdict.allowed {
        true => "allowed",
        false => "denied",
    });
    line(&format!(
        "  who: {} (groups: {}; principals: {})",
        Shown(&facts.principal.name),
        list(&facts.principal.groups),
        list(&facts.principal.principals)
    ));
    if let Resource::Target {
        name,
        login,
        logins,
        listed,
        ..
    } = &facts.resource
    {
        let how = if *listed { "listed" } else { "found by match" };
        line(&format!(
            "  where: {login} on {name} ({how}; its logins: {})",
            list(logins)
        ));
    }
    for error in &explanation.verdict.errors {
        line(&format!(
            "a policy fails, and so it is denied: {}",
            Shown(error)
        ));
    }
    for (id, policy) in &explanation.deciding {
        line(&format!("decided by {}", Shown(id)));
        policy
            .lines()
            .for_each(|policy| line(&format!("  {}", Shown(policy))));
    }
    if explanation.deciding.is_empty() {
        line("no policy permits it");
        if !explanation.elsewhere.is_empty() {
            let ids = list(&explanation.elsewhere);
            line(&format!("  to others, elsewhere or at another time: {ids}"));
        }
    }
    if facts.action != Action::Use && explanation.verdict.allowed {
        line("the certificate may narrow this: principals, options and extensions are checked too");
    }
    text
}
