//! The command tree. Over ssh only [`Remote`] exists: a type of its own, no argument of which is a path.

use super::node::doctor::DoctorArgs;
use super::node::explain::ExplainArgs;
use super::node::index::IndexArgs;
use super::node::inspect::InspectArgs;
use super::node::status::StatusArgs;
use super::recordings::events::EventsArgs;
use super::recordings::export::ExportArgs;
use super::recordings::play::ReplayArgs;
use super::recordings::report::ReportArgs;
use super::recordings::review::ReviewArgs;
use super::recordings::search::SearchArgs;
use super::recordings::sessions::SessionsArgs;
use super::recordings::transcript::TranscriptArgs;
use crate::policy::Action;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// An SSH bastion that records before it forwards.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub struct Local {
    /// portcullis.toml; default: PORTCULLIS_CONFIG, ./portcullis.toml, /etc/portcullis/.
    #[arg(long, global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: LocalVerb,
}

#[derive(Debug, Subcommand)]
pub enum LocalVerb {
    /// Makes a working installation; overwrites nothing.
    Init { dir: PathBuf },
    /// A bastion, a target and a session on this machine, to try.
    Demo {
        /// Exits instead of staying up: 0 if all of it worked.
        #[arg(long)]
        check: bool,
        /// Keeps everything in this directory.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// The bastion.
    Serve,
    /// What the running bastion says of itself: connections, sessions, what its limits turned away.
    Status(StatusArgs),
    /// What is wrong with this installation and its targets, and what to do about it.
    Doctor(DoctorArgs),
    /// Certificates and revocations.
    #[command(subcommand)]
    Ca(CaVerb),
    /// The session index.
    Index(IndexArgs),
    /// The commands of recordings, and of terminal sessions as JSON, derived again.
    Inspect(InspectArgs),
    /// Recordings for spreadsheets, players and SIEMs.
    Export(ExportToArgs),
    /// Every access of a time, and what an auditor asks about it.
    Report(ReportToArgs),
    /// Shell completions.
    Completions { shell: clap_complete::Shell },
    /// The manual page.
    Man,
    #[command(flatten)]
    Remote(RemoteVerb),
}

#[derive(Debug, Subcommand)]
pub enum CaVerb {
    /// Signs a public key: writes KEY-cert.pub beside it, or to standard output with `-`.
    Issue(IssueArgs),
    #[command(flatten)]
    Both(GuestCaVerb),
}

/// What `ca` is over ssh: nothing that signs.
#[derive(Debug, Subcommand)]
pub enum GuestCaVerb {
    /// In force at once, also for running sessions.
    Revoke(RevokeArgs),
    /// What the revocation lists hold.
    Krl(ListArgs),
    /// What a certificate says: a file (only on the node), or `-`.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    pub file: String,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Who it is: becomes the key id.
    #[arg(long)]
    pub identity: String,
    /// Logins it may be used as.
    #[arg(long, required = true, num_args = 1..)]
    pub principal: Vec<String>,
    #[arg(long)]
    pub reason: String,
    #[arg(long)]
    pub ticket: Option<String>,
    #[arg(long)]
    pub group: Vec<String>,
    /// How long: `4h`.
    #[arg(long = "for", default_value = "4h", value_parser = humantime::parse_duration)]
    pub lifetime: Duration,
    /// The public key file; `-`: from standard input, and the certificate to standard output.
    pub key: String,
    /// `-`: to standard output.
    #[arg(value_parser = ["-"])]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct RevokeArgs {
    /// The certificate with this serial number; `--ca` says of which CA.
    #[arg(long, group = "what", requires = "ca")]
    pub serial: Option<u64>,
    /// A user CA of the configuration: the name of its file (`user_ca`), or its fingerprint.
    #[arg(long)]
    pub ca: Option<String>,
    /// All certificates with this key id.
    #[arg(long, group = "what")]
    pub key_id: Option<String>,
    /// All certificates of this person.
    #[arg(long, group = "what")]
    pub identity: Option<String>,
    /// A public key: a file (only on the node), or `-`. Of a CA: everything that it signed.
    #[arg(long, group = "what")]
    pub key: Option<String>,
    /// All words up to the next option.
    #[arg(long, num_args = 1.., required = true)]
    pub reason: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Validates the policies against their schema.
    Check(PolicyCheckArgs),
    /// Asks the policies the examples beside them; 1 when one is answered otherwise.
    Test(PolicyCheckArgs),
    /// Which policy decides, and why; 1 when it is denied.
    Explain(Box<ExplainArgs>),
}

#[derive(Debug, Args)]
pub struct PolicyCheckArgs {
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

/// What `ssh bastion VERB` understands.
#[derive(Debug, Parser)]
#[command(
    name = "ssh bastion",
    disable_version_flag = true,
    no_binary_name = true
)]
pub struct Remote {
    #[command(subcommand)]
    pub verb: GuestVerb,
}

#[derive(Debug, Subcommand)]
pub enum GuestVerb {
    #[command(flatten)]
    Common(RemoteVerb),
    /// Revocations (for administrators).
    #[command(subcommand)]
    Ca(GuestCaVerb),
    /// Recordings for spreadsheets, players and SIEMs, as one stream.
    Export(ExportGuestArgs),
    /// Every access of a time, and what an auditor asks about it (for auditors).
    Report(ReportArgs),
}

/// `export` over ssh: nothing of it is a path.
#[derive(Debug, Args)]
pub struct ExportGuestArgs {
    #[command(flatten)]
    pub export: ExportArgs,
    /// `-`: standard output, which is the default.
    #[arg(short, long, default_value = "-", value_parser = ["-"])]
    pub output: String,
}

/// `report` on the node.
#[derive(Debug, Args)]
pub struct ReportToArgs {
    #[command(flatten)]
    pub report: ReportArgs,
    /// FILE.html, FILE.csv or FILE.json; its end says the format. `-`: standard output.
    #[arg(short, long, default_value = "-")]
    pub output: PathBuf,
}

/// `export` on the node.
#[derive(Debug, Args)]
pub struct ExportToArgs {
    #[command(flatten)]
    pub export: ExportArgs,
    /// A directory: a file each and `SHA256SUMS`. With a session named: a file. `-`: standard output.
    #[arg(short, long, default_value = "-")]
    pub output: PathBuf,
}

impl GuestVerb {
    /// What policy is asked before anything else.
    pub fn action(&self) -> Action {
        match self {
            Self::Common(verb) => verb.action(),
            Self::Export(_) => Action::Use,
            Self::Report(_) => Action::Report,
            Self::Ca(GuestCaVerb::Revoke(_)) => Action::Revoke,
            Self::Ca(GuestCaVerb::Krl(_)) => Action::Administer,
            Self::Ca(GuestCaVerb::Show(_)) => Action::Use,
        }
    }

    /// Holds a thread for as long as somebody reads.
    pub fn reads_recordings(&self) -> bool {
        match self {
            Self::Common(verb) => verb.reads_recordings(),
            Self::Export(_) | Self::Report(_) => true,
            Self::Ca(_) => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum RemoteVerb {
    /// Lists sessions; `sessions show ID`: everything about one.
    Sessions(SessionsArgs),
    /// The recorded JSON lines, byte for byte.
    Events(EventsArgs),
    /// Finds words in what was run, moved and shown: options first or last, the rest is the words.
    Search(SearchArgs),
    /// Signs off a session that was looked at (for auditors).
    Review(ReviewArgs),
    /// Plays a session in the terminal.
    Replay(ReplayArgs),
    /// Plain text as a person saw it.
    Transcript(TranscriptArgs),
    /// Sets reason and ticket for this certificate, for tools that cannot send them.
    Why(WhyArgs),
    /// A client's ssh_config for this bastion: append it, and `ssh TARGET` works.
    SshConfig(SshConfigArgs),
    /// A script that makes a target accept this bastion (for administrators).
    TargetSetup(TargetSetupArgs),
    /// Policies (for administrators).
    #[command(subcommand)]
    Policy(PolicyVerb),
}

impl RemoteVerb {
    fn reads_recordings(&self) -> bool {
        match self {
            Self::Sessions(_)
            | Self::Events(_)
            | Self::Search(_)
            | Self::Replay(_)
            | Self::Review(_)
            | Self::Transcript(_) => true,
            Self::Why(_) | Self::SshConfig(_) | Self::TargetSetup(_) | Self::Policy(_) => false,
        }
    }

    /// What policy is asked before anything else; looking at sessions is asked for each of them too.
    pub fn action(&self) -> Action {
        match self {
            Self::Sessions(_)
            | Self::Events(_)
            | Self::Search(_)
            | Self::Replay(_)
            | Self::Review(_)
            | Self::Transcript(_)
            | Self::Why(_)
            | Self::SshConfig(_) => Action::Use,
            Self::TargetSetup(_) | Self::Policy(_) => Action::Administer,
        }
    }
}

#[derive(Debug, Args)]
pub struct SshConfigArgs {
    /// The known_hosts lines instead, for clients that know no KnownHostsCommand.
    #[arg(long)]
    pub known_hosts: bool,
    /// One JSON document with both.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct TargetSetupArgs {
    /// For this target only.
    pub name: Option<String>,
    /// The lines instead of the script that sets them.
    #[arg(long)]
    pub lines: bool,
}

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// All words up to the next option.
    #[arg(long)]
    pub reason: String,
    #[arg(long)]
    pub ticket: Option<String>,
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
    /// How long: `4h`.
    #[arg(long = "for", default_value = "4h", value_parser = humantime::parse_duration)]
    pub lifetime: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn nothing_over_ssh_takes_a_path_or_makes_a_node_do_things() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let kind = format!("{:?}", argument.get_value_parser().type_id());
                assert!(
                    !kind.contains("PathBuf"),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
                assert_ne!(argument.get_id(), "config");
            }
            command.get_subcommands().for_each(walk);
        }
        let remote = Remote::command();
        walk(&remote);
        let only_on_the_node = [
            "init",
            "demo",
            "serve",
            "status",
            "doctor",
            "index",
            "inspect",
            "completions",
            "man",
        ];
        for forbidden in only_on_the_node {
            assert!(remote.find_subcommand(forbidden).is_none(), "{forbidden}");
        }
        let ca = remote.find_subcommand("ca");
        assert!(ca.is_none_or(|ca| ca.find_subcommand("issue").is_none()));
        Local::command().debug_assert();
        remote.debug_assert();
    }
}
