//! Which sessions a verb is about: the options that `sessions`, `export` and the others share.

use super::look::Look;
use crate::cli::answer::Fault;
use crate::cli::when::Zone;
use crate::id::TargetName;
use crate::store::Filter;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only of this person.
    #[arg(long)]
    pub identity: Option<String>,
    /// Only to this target.
    #[arg(long)]
    pub target: Option<String>,
    /// Only as this login.
    #[arg(long)]
    pub login: Option<String>,
    /// Only for this ticket.
    #[arg(long)]
    pub ticket: Option<String>,
    /// Only what ran after this: `7d`, `2026-11-24`, `2026-11-24 13:00`.
    #[arg(long)]
    pub since: Option<String>,
    /// Only what started before this.
    #[arg(long)]
    pub until: Option<String>,
    /// Only what runs now.
    #[arg(long)]
    pub active: bool,
}

impl FilterArgs {
    /// As words that would say it again.
    pub(crate) fn words(&self) -> Vec<String> {
        let options = [
            ("--identity", &self.identity),
            ("--target", &self.target),
            ("--login", &self.login),
            ("--ticket", &self.ticket),
            ("--since", &self.since),
            ("--until", &self.until),
        ];
        let mut words = Vec::new();
        for (name, value) in options {
            words.extend(value.iter().map(|value| format!("{name} {value}")));
        }
        if self.active {
            words.push("--active".to_owned());
        }
        words
    }

    /// Times are read in the caller's zone.
    pub(crate) fn filter(&self, zone: Zone, look: &Look) -> Result<Filter, Fault> {
        let time = |name: &str, text: &Option<String>| {
            let time = text
                .as_ref()
                .map(|text| zone.read(text, look.clock.now_utc()));
            time.transpose()
                .map_err(|error| Fault::Usage(format!("--{name} is no time: {error}")))
        };
        // As events spell it, so that `DB1` finds `db1`.
        let target = self
            .target
            .as_ref()
            .map(|name| match name.parse::<TargetName>() {
                Ok(name) => name.to_string(),
                Err(_) => name.clone(),
            });
        Ok(Filter {
            identity: self.identity.clone(),
            target,
            login: self.login.clone(),
            ticket: self.ticket.clone(),
            since: time("since", &self.since)?,
            until: time("until", &self.until)?,
            active: self.active,
            unreviewed: false,
            part: None,
        })
    }
}
