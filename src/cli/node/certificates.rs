//! `ca`: certificates for people, revocations. Each is an event with its actor.

use super::control;
use crate::ca::{self, Signer, UserCertificate};
use crate::cli::answer::{Fault, finish, json, line_end, print};
use crate::cli::tree::{GuestCaVerb, IssueArgs, RevokeArgs};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::event::{Audit, Kind, Mfa, Outcome, Shown, Where, Who, Why, WhySource};
use crate::id::{Subject, Ticket};
use crate::identity::{Revoke, facts_of};
use crate::proxy::Call;
use crate::record::{self, Recorder};
use crate::server::public_key;
use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// A public key or certificate that is piped in; a certificate is at most one SSH packet.
const PIPED_BYTES_MAX: u64 = 512 * 1024;

pub(crate) async fn issue(args: &IssueArgs, config: &Config) -> anyhow::Result<u8> {
    let source = config
        .user_ca
        .as_ref()
        .context("no `[ca] user` is configured: its private half signs elsewhere")?;
    let signer = Signer::open(source).await?;
    let subject = subject(&args.identity)?;
    let ticket = args.ticket.as_ref().map(|text| {
        text.parse::<Ticket>()
            .map_err(|bad| anyhow!("`{}` is no ticket: {bad}", Shown(text)))
    });
    let ticket = ticket.transpose()?;
    if args.lifetime > config.max_lifetime {
        bail!(
            "`--for` is longer than this bastion accepts: at most {} (`[identity] max_lifetime`)",
            humantime::format_duration(config.max_lifetime)
        );
    }
    let wanted = UserCertificate {
        subject: &subject,
        principals: &args.principal,
        reason: Some(&args.reason),
        ticket: ticket.as_ref(),
        groups: &args.group,
        lifetime: args.lifetime,
        serial: ca::random_serial()?,
        now: Clock::system().now(),
    };
    let key = match args.key.as_str() {
        "-" => ca::parse_public(&piped(&mut tokio::io::stdin()).await?)?,
        file => ca::load_public(Path::new(file))?,
    };
    let certificate = ca::issue_user(&signer, &key, wanted).await?;
    let facts = facts_of(&certificate);
    let kind = Kind::CertIssue {
        key_id: facts.key_id,
        serial: facts.serial,
        fingerprint: facts.fingerprint,
        principals: args.principal.clone(),
        not_after: facts.not_after,
    };
    let why = Why {
        justification: Some(args.reason.clone()),
        ticket,
        source: Some(WhySource::Certificate),
        ..Why::default()
    };
    // Before anybody has it: what cannot be recorded is not given out.
    By::operator(config).record(kind, Some(why)).await?;
    if args.key == "-" || args.to.is_some() {
        writeln!(io::stdout(), "{}", certificate.to_openssh()?)?;
        return Ok(0);
    }
    let path = ca::certificate_path(Path::new(&args.key));
    ca::write_certificate(&path, &certificate)?;
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(0)
}

fn subject(text: &str) -> anyhow::Result<Subject> {
    text.parse()
        .map_err(|bad| anyhow!("`{}` is no identity: {bad}", Shown(text)))
}

/// The operator's own words; files are read here.
pub(crate) async fn on_node(
    verb: &GuestCaVerb,
    config: impl FnOnce() -> anyhow::Result<Config>,
    call: &mut Call,
) -> u8 {
    let done = match verb {
        // What a certificate says needs no installation.
        GuestCaVerb::Show(_) => run(verb, None, call).await,
        GuestCaVerb::Revoke(_) | GuestCaVerb::Krl(_) => match config() {
            Ok(config) => {
                let by = By::operator(&config);
                run(verb, Some((&config, &by)), call).await
            }
            Err(error) => Err(Fault::Usage(format!("{error:#}"))),
        },
    };
    finish(done, call).await
}

/// A guest names no file of the node.
pub(crate) async fn over_ssh(verb: &GuestCaVerb, config: &Config, by: &By, call: &mut Call) -> u8 {
    let file = match verb {
        GuestCaVerb::Revoke(args) => args.key.as_deref(),
        GuestCaVerb::Show(args) => Some(args.file.as_str()),
        GuestCaVerb::Krl(_) => None,
    };
    let done = match file {
        Some(file) if file != "-" => Err(Fault::Usage(
            "over ssh a key or certificate comes from standard input: write `-` and `< FILE`"
                .to_owned(),
        )),
        Some(_) | None => run(verb, Some((config, by)), call).await,
    };
    finish(done, call).await
}

async fn run(
    verb: &GuestCaVerb,
    installation: Option<(&Config, &By)>,
    call: &mut Call,
) -> Result<u8, Fault> {
    let done = match (verb, installation) {
        (GuestCaVerb::Revoke(args), Some((config, by))) => {
            let (told, kind) = revoke(args, config, by, call)
                .await
                .map_err(|error| Fault::Usage(format!("{error:#}")))?;
            // Never the other way round: a disk that takes no event must not keep a key in force.
            by.record(kind, None).await.map_err(|error| {
                Fault::Broken(format!(
                    "{told}, which is in force, but not recorded: {error:#}"
                ))
            })?;
            Ok(told)
        }
        (GuestCaVerb::Krl(args), Some((config, _))) => krl(config, args.json),
        (GuestCaVerb::Show(args), _) => show(&args.file, args.json, call).await,
        (GuestCaVerb::Revoke(_) | GuestCaVerb::Krl(_), None) => {
            Err(anyhow!("no configuration is loaded"))
        }
    };
    let text = done.map_err(|error| Fault::Usage(format!("{error:#}")))?;
    let end = line_end(call);
    print(&mut call.output, end, &text).await?;
    Ok(0)
}

async fn revoke(
    args: &RevokeArgs,
    config: &Config,
    by: &By,
    call: &mut Call,
) -> anyhow::Result<(String, Kind)> {
    let file = config
        .revoked
        .first()
        .context("no `[identity] revoked` is configured: name a KRL there first")?;
    let ca = args.ca.as_deref().map(|name| authority(config, name));
    let ca = ca.transpose()?;
    let of = match &ca {
        Some(ca) => format!(" of CA {}", ca::fingerprint(ca)),
        None => String::new(),
    };
    let (what, told) = if let (Some(serial), Some(ca)) = (args.serial, ca.clone()) {
        (
            Revoke::Serial { serial, ca },
            format!("serial {serial}{of}"),
        )
    } else if let Some(file) = &args.key {
        let key = match file.as_str() {
            "-" => ca::parse_public(&piped(&mut call.input).await?)?,
            file => ca::load_public(Path::new(file))?,
        };
        let told = format!("key {}", ca::fingerprint(&key));
        (Revoke::Key(key), told)
    } else {
        let key_id = match (&args.identity, &args.key_id) {
            (Some(identity), _) => subject(identity)?.to_string(),
            (None, Some(key_id)) => key_id.clone(),
            (None, None) => bail!("say what to revoke: --serial, --key-id, --identity or --key"),
        };
        let told = format!("key id `{}`{of}", Shown(&key_id));
        (Revoke::KeyId { key_id, ca }, told)
    };
    let list = ca::revoke(file, &[what], by.clock.now())?;
    let kind = Kind::CertRevoke {
        what: told.chars().take(512).collect(),
        reason: args.reason.join(" ").chars().take(1024).collect(),
    };
    let number = list.number();
    let told = format!("{told} is revoked (number {number} of {})", file_name(file));
    Ok((told, kind))
}

/// By the name of its file, with or without `.pub`, or its fingerprint.
fn authority(config: &Config, name: &str) -> anyhow::Result<ca::PublicKey> {
    let mut known = Vec::new();
    for authority in &config.authorities {
        let key = public_key(&authority.file)?;
        let file = file_name(&authority.file);
        let stem = file.trim_end_matches(".pub").to_owned();
        if name == file || name == stem || name == ca::fingerprint(&key) {
            return Ok(key);
        }
        known.push(stem);
    }
    bail!(
        "no user CA `{}` is configured: there is {}",
        Shown(name),
        known.join(", ")
    )
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn krl(config: &Config, as_json: bool) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let mut lists = Vec::new();
    for file in &config.revoked {
        let list = ca::load_krl(file)?;
        let name = file_name(file);
        lines.push(format!("{} (number {})", Shown(&name), list.number()));
        lines.extend(list.lines().iter().map(|line| format!("  {}", Shown(line))));
        lists.push(serde_json::json!({
            "file": name, "number": list.number(), "generated": list.generated(),
            "sha256": list.sha256(), "revoked": list.lines(),
        }));
    }
    if as_json {
        return Ok(json(&lists)?);
    }
    Ok(lines.join("\n"))
}

async fn show(file: &str, as_json: bool, call: &mut Call) -> anyhow::Result<String> {
    let certificate = match file {
        "-" => ca::parse_certificate(&piped(&mut call.input).await?)?,
        file => ca::load_certificate(Path::new(file))?,
    };
    let lines = ca::show(&certificate);
    if !as_json {
        let shown: Vec<_> = lines.iter().map(|line| Shown(line).to_string()).collect();
        return Ok(shown.join("\n"));
    }
    let mut fields: Map<String, Value> = Map::new();
    for line in &lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        let values = fields
            .entry(name.replace(' ', "_"))
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    Ok(json(&fields)?)
}

async fn piped(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(PIPED_BYTES_MAX)
        .read_to_string(&mut text)
        .await
        .context("cannot read standard input")?;
    Ok(text)
}

/// Who does it, and whose hands write it down.
pub(crate) struct By {
    clock: Clock,
    who: Arc<Who>,
    place: Option<Arc<Where>>,
    hands: Hands,
}

enum Hands {
    Bastion(Recorder),
    /// With no bastion running the node's stream is written here; a running one has it, and is asked.
    Node(Box<record::Config>, PathBuf),
}

impl By {
    /// In the running bastion.
    pub(crate) fn bastion(
        recorder: &Recorder,
        clock: &Clock,
        who: Arc<Who>,
        place: Arc<Where>,
    ) -> Self {
        Self {
            clock: clock.clone(),
            who,
            place: Some(place),
            hands: Hands::Bastion(recorder.clone()),
        }
    }

    fn operator(config: &Config) -> Self {
        let who = Who {
            subject: None,
            name: Some(format!("os:{}", config::user_name())),
            groups: vec!["node".to_owned()],
            certificate: None,
            mfa: Mfa::Unknown,
            source: None,
        };
        Self {
            clock: Clock::system(),
            who: Arc::new(who),
            place: None,
            hands: Hands::Node(
                Box::new(config.record.clone()),
                config.state.join("control.sock"),
            ),
        }
    }

    async fn record(&self, kind: Kind, why: Option<Why>) -> anyhow::Result<()> {
        let mut event = Audit::of_node(kind, Outcome::Success);
        event.who = Some(Arc::clone(&self.who));
        event.place = self.place.clone();
        event.why = why.map(Arc::new);
        let (config, socket) = match &self.hands {
            Hands::Bastion(recorder) => return Ok(recorder.append_node(event).await?),
            Hands::Node(config, socket) => (config.as_ref().clone(), socket),
        };
        match Recorder::open(config, self.clock.clone()) {
            Ok(recorder) => {
                recorder.append_node(event).await?;
                tokio::task::spawn_blocking(move || recorder.shut_down()).await??;
            }
            Err(record::Error::Taken { .. }) => {
                control::tell(socket, &event).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
