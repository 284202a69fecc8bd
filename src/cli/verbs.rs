//! `ssh bastion VERB` and the same words on the node: parse, authorise, record, run.

use super::answer::{Fault, finish};
use super::node::{certificates, client, policy, setup};
use super::recordings::look::{Look, Looker, Node};
use super::recordings::places::Places;
use super::recordings::{events, export, play, report, review, search, sessions, transcript};
use super::tree::{GuestVerb, Remote, RemoteVerb, WhyArgs};
use super::{console, usage, why, words};
use crate::access::{Caller, Desk};
use crate::event::{Audit, Decision, Kind, Mfa, Outcome, Shown, Source, Where, Who};
use crate::id::SessionId;
use crate::policy::{Action, Resource};
use crate::proxy::{Call, VerbEnd, Verbs};
use crate::server::Parts;
use clap::Parser;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};

const DENIED: u8 = 3;

pub struct CliVerbs {
    parts: Parts,
    look: Look,
    places: Arc<Places>,
}

impl CliVerbs {
    pub fn new(parts: &Parts) -> Self {
        let house = Arc::new(Node {
            desk: parts.desk.clone(),
            recorder: parts.recorder.clone(),
        });
        let look = Look {
            archive: parts.archive.clone(),
            store: parts.store.clone(),
            clock: parts.clock.clone(),
            house,
        };
        let parts = parts.clone();
        let places = Arc::default();
        Self {
            parts,
            look,
            places,
        }
    }

    async fn answer(&self, caller: Caller, mut call: Call) -> VerbEnd {
        let words = words::split(&call.line);
        let name = words.first().map_or("console", String::as_str).to_owned();
        let wanted = match words.is_empty() {
            true => Ok(None),
            false => Remote::try_parse_from(&words).map(|remote| Some(remote.verb)),
        };
        let action = match &wanted {
            Ok(Some(verb)) => verb.action(),
            Ok(None) | Err(_) => Action::Use,
        };
        let allowed = self.parts.desk.may(&caller, action, Resource::Bastion);
        let decision = match &allowed {
            Ok(decision) => decision.clone(),
            Err(denied) => denied.decision().cloned().unwrap_or_default(),
        };
        if let Err(error) = self.record(&caller, call.reference, &name, decision).await {
            let fault = Fault::Unrecorded(error.to_string());
            return VerbEnd::Exit(finish(Err(fault), &mut call).await);
        }
        if let Err(denied) = allowed {
            let text = denied.to_user(call.reference);
            return fail(&mut call, text.trim_end(), DENIED).await;
        }
        match wanted {
            Ok(Some(verb)) => VerbEnd::Exit(self.run_guest(&verb, caller, &mut call).await),
            Ok(None) => console::run(&self.parts.desk, &caller, &mut call).await,
            Err(error) => VerbEnd::Exit(usage::explain(&error, &mut call).await),
        }
    }

    async fn run_guest(&self, verb: &GuestVerb, caller: Caller, call: &mut Call) -> u8 {
        let by = Looker::new(caller.clone(), Some(who(&caller)), Some(self.place()));
        let place = self.places.take(&caller);
        if verb.reads_recordings() && place.is_none() {
            let full = "too many recordings are looked at just now: end one, or try again";
            return finish(Err(Fault::Broken(full.to_owned())), call).await;
        }
        match verb {
            GuestVerb::Common(verb) => self.run_verb(verb, &by, caller, call).await,
            GuestVerb::Export(args) => export::run(&args.export, &self.look, &by, call).await,
            GuestVerb::Report(args) => {
                let accounts = accounts(&self.parts.desk);
                report::run(args, accounts, &self.look, &by, call).await
            }
            GuestVerb::Ca(verb) => {
                let by = certificates::By::bastion(
                    &self.parts.recorder,
                    &self.parts.clock,
                    who(&caller),
                    self.place(),
                );
                certificates::over_ssh(verb, &self.parts.config, &by, call).await
            }
        }
    }

    async fn run_verb(
        &self,
        verb: &RemoteVerb,
        by: &Looker,
        caller: Caller,
        call: &mut Call,
    ) -> u8 {
        let config = &self.parts.config;
        match verb {
            RemoteVerb::Sessions(args) => sessions::run(args, &self.look, by, call).await,
            RemoteVerb::Events(args) => events::run(args, &self.look, by, call).await,
            RemoteVerb::Search(args) => search::run(args, &self.look, by, call).await,
            RemoteVerb::Replay(args) => play::run(args, &self.look, by, call).await,
            RemoteVerb::Review(args) => review::run(args, &self.look, by, call).await,
            RemoteVerb::Transcript(args) => transcript::run(args, &self.look, by, call).await,
            RemoteVerb::Why(args) => self.why(args, &caller, call).await,
            RemoteVerb::SshConfig(args) => {
                client::run(args, config, &self.parts.desk, &caller, call).await
            }
            RemoteVerb::TargetSetup(args) => setup::run(args, config, call).await,
            RemoteVerb::Policy(verb) => policy::run(verb, config, call).await,
        }
    }

    async fn why(&self, args: &WhyArgs, caller: &Caller, call: &mut Call) -> u8 {
        let setting = why::Setting {
            desk: &self.parts.desk,
            clock: &self.parts.clock,
            recorder: &self.parts.recorder,
            who: who(caller),
            place: self.place(),
        };
        why::run(args, caller, setting, call).await
    }

    fn place(&self) -> Arc<Where> {
        Arc::new(Where {
            node: self.parts.config.proxy.node.clone(),
            target: None,
            address: None,
            port: None,
            login: None,
        })
    }

    async fn record(
        &self,
        caller: &Caller,
        reference: SessionId,
        verb: &str,
        decision: Decision,
    ) -> Result<(), crate::record::Error> {
        let outcome = match decision.allowed {
            true => Outcome::Success,
            false => Outcome::Denied,
        };
        let kind = Kind::Verb {
            verb: Shown(verb).to_string().chars().take(64).collect(),
            decision,
            reference: Some(reference),
        };
        let event = Audit {
            kind,
            outcome,
            who: Some(who(caller)),
            place: Some(self.place()),
            why: None,
        };
        self.parts.recorder.append_node(event).await
    }
}

impl Verbs for CliVerbs {
    fn run<'a>(
        &'a self,
        caller: Caller,
        call: Call,
    ) -> Pin<Box<dyn Future<Output = VerbEnd> + Send + 'a>> {
        Box::pin(self.answer(caller, call))
    }
}

/// Listed accounts, `login` at `target`; personal ones are as many as there are people.
fn accounts(desk: &Desk) -> Vec<(String, String)> {
    let targets = desk.targets();
    let mut accounts = Vec::new();
    for target in targets.listed() {
        let fixed = target.logins.iter().filter(|login| !login.starts_with('$'));
        accounts.extend(fixed.map(|login| (login.clone(), target.name.to_string())));
    }
    accounts.sort();
    accounts
}

fn who(caller: &Caller) -> Arc<Who> {
    Arc::new(match caller {
        Caller::Person { who, source } => Who {
            subject: Some(who.subject().clone()),
            name: None,
            groups: who.groups().to_vec(),
            certificate: Some(who.facts().clone()),
            mfa: Mfa::Unknown,
            source: Some(Source {
                ip: source.ip().to_canonical(),
                port: source.port(),
            }),
        },
        Caller::Operator { user } => Who {
            subject: None,
            name: Some(format!("os:{user}")),
            groups: vec!["node".to_owned()],
            certificate: None,
            mfa: Mfa::Unknown,
            source: None,
        },
    })
}

/// Says why not on standard error, line by line.
async fn fail(call: &mut Call, text: &str, code: u8) -> VerbEnd {
    let end = if call.terminal.is_some() {
        "\r\n"
    } else {
        "\n"
    };
    let mut lines = String::new();
    for line in text.lines() {
        lines.push_str(&Shown(line).to_string());
        lines.push_str(end);
    }
    let errors: &mut (dyn AsyncWrite + Send + Unpin) = &mut call.errors;
    // Nobody is left to tell when this fails, too.
    drop(errors.write_all(lines.as_bytes()).await);
    drop(errors.flush().await);
    VerbEnd::Exit(code)
}
