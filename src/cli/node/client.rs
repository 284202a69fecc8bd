//! `ssh-config`: what a client adds so that `ssh db1` works, with strict host-key checking.

use crate::access::{Caller, Desk};
use crate::ca::{self, KeySource};
use crate::cli::answer::{Fault, finish, json, line_end, print};
use crate::cli::console::reachable;
use crate::cli::tree::SshConfigArgs;
use crate::config::Config;
use crate::proxy::Call;
use std::fmt::Write;
use std::net::IpAddr;

const SSH_PORT: u16 = 22;

/// What the lines are made of. Names and patterns come from the configuration, checked.
struct Facts {
    /// How a client reaches the bastion.
    host: String,
    port: u16,
    /// What else it is called.
    names: Vec<String>,
    /// Listed targets, with the port that is their own.
    targets: Vec<(String, u16)>,
    patterns: Vec<String>,
    /// OpenSSH lines: our own host key, and the CA of the certificates that jumps show.
    host_key: String,
    host_ca: String,
}

/// `caller` sees the names of what they may reach; patterns give nothing away.
pub(crate) async fn run(
    args: &SshConfigArgs,
    config: &Config,
    desk: &Desk,
    caller: &Caller,
    call: &mut Call,
) -> u8 {
    let targets = desk.targets();
    let seen = match caller {
        Caller::Operator { .. } => targets.listed().to_vec(),
        Caller::Person { who, source } => {
            let reachable = reachable(desk, who, source.ip()).await;
            reachable.into_iter().map(|(target, _)| target).collect()
        }
    };
    let names = seen
        .iter()
        .map(|target| (target.name.to_string(), target.port));
    let patterns = targets.patterns().map(str::to_owned);
    let done = answer(args, config, names.collect(), patterns.collect(), call).await;
    finish(done, call).await
}

async fn answer(
    args: &SshConfigArgs,
    config: &Config,
    targets: Vec<(String, u16)>,
    patterns: Vec<String>,
    call: &mut Call,
) -> Result<u8, Fault> {
    let facts = facts(config, targets, patterns).await?;
    let text = match (args.json, args.known_hosts) {
        (true, _) => json(&serde_json::json!({
            "ssh_config": facts.ssh_config(), "known_hosts": facts.known_hosts(),
        }))?,
        (false, true) => facts.known_hosts(),
        (false, false) => facts.ssh_config(),
    };
    let end = line_end(call);
    print(&mut call.output, end, &text).await?;
    Ok(0)
}

async fn facts(
    config: &Config,
    targets: Vec<(String, u16)>,
    patterns: Vec<String>,
) -> Result<Facts, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::Broken(error.to_string());
    let host_key = KeySource::File(config.proxy.host_key.clone());
    let host_key = ca::public_of(&host_key).await.map_err(|e| broken(&e))?;
    let host_ca = ca::public_of(&config.host_ca)
        .await
        .map_err(|e| broken(&e))?;
    let listen = &config.proxy.listen;
    let names = &config.proxy.names;
    // Who listens on loopback only is not reached under the machine's name.
    let is_loopback = |name: &&String| name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let inside = listen.iter().all(|address| address.ip().is_loopback());
    let host = names.iter().find(|name| inside && is_loopback(name));
    Ok(Facts {
        host: host
            .or(names.first())
            .cloned()
            .unwrap_or_else(|| "localhost".to_owned()),
        port: listen.first().map_or(SSH_PORT, std::net::SocketAddr::port),
        names: names.clone(),
        targets,
        patterns,
        host_key: host_key.to_openssh().map_err(|e| broken(&e))?,
        host_ca: host_ca.to_openssh().map_err(|e| broken(&e))?,
    })
}

impl Facts {
    fn ssh_config(&self) -> String {
        let mut text = format!(
            "\n# Portcullis. Append this to ~/.ssh/config; it brings the host keys with it (ssh 8.5 and newer).\n\
             # For others, append what `ssh bastion ssh-config --known-hosts` prints to ~/.ssh/known_hosts.\n\
             Host bastion\n  HostName {}\n  Port {}\n  SendEnv TZ\n{}",
            self.host,
            self.port,
            strict(&[self.bastion_line()]),
        );
        let hosts: Vec<&str> = self.hosts().collect();
        if !hosts.is_empty() {
            let strict = strict(&self.target_lines());
            let hosts = hosts.join(" ");
            // Writing to a String cannot fail.
            write!(text, "\nHost {hosts}\n  ProxyJump bastion\n{strict}").unwrap_or_default();
        }
        text
    }

    fn known_hosts(&self) -> String {
        let mut lines = vec![self.bastion_line()];
        lines.extend(self.target_lines());
        lines.join("\n")
    }

    fn hosts(&self) -> impl Iterator<Item = &str> {
        let targets = self.targets.iter().map(|(name, _)| name.as_str());
        // A pattern of all hosts would send every connection of the client here, and believe our
        // host CA for every host.
        let patterns = self.patterns.iter().map(String::as_str);
        targets.chain(patterns.filter(|pattern| !pattern.trim_matches(['*', '?', '.']).is_empty()))
    }

    fn bastion_line(&self) -> String {
        let names = self.names.iter().map(|name| known_as(name, self.port));
        format!("{} {}", names.collect::<Vec<_>>().join(","), self.host_key)
    }

    /// The CA of our host certificates, and the one stable key for clients without certificates.
    fn target_lines(&self) -> Vec<String> {
        let mut names: Vec<String> = self.hosts().map(str::to_owned).collect();
        let own_port = self.targets.iter().filter(|(_, port)| *port != SSH_PORT);
        names.extend(own_port.map(|(name, port)| known_as(name, *port)));
        if names.is_empty() {
            return Vec::new();
        }
        let names = names.join(",");
        vec![
            format!("@cert-authority {names} {}", self.host_ca),
            format!("{names} {}", self.host_key),
        ]
    }
}

/// sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT".
fn known_as(name: &str, port: u16) -> String {
    match port {
        SSH_PORT => name.to_owned(),
        port => format!("[{name}]:{port}"),
    }
}

/// ssh_config(5): the command is run without a shell; `%` is written twice.
fn strict(lines: &[String]) -> String {
    let quoted: Vec<_> = lines.iter().map(|line| format!("'{line}'")).collect();
    format!(
        "  StrictHostKeyChecking yes\n  IgnoreUnknown KnownHostsCommand\n  \
         KnownHostsCommand /usr/bin/printf '%%s\\n' {}\n",
        quoted.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            host: "192.0.2.1".to_owned(),
            port: 2222,
            names: vec!["b.example.com".to_owned(), "192.0.2.1".to_owned()],
            targets: vec![("db1".to_owned(), 22), ("db2".to_owned(), 2201)],
            patterns: vec!["*.prod.example.com".to_owned(), "*".to_owned()],
            host_key: "ssh-ed25519 KEY us".to_owned(),
            host_ca: "ssh-ed25519 CA ca".to_owned(),
        }
    }

    #[test]
    fn exactly_the_names_and_patterns_and_never_all_hosts() {
        let facts = facts();
        let names = "db1,db2,*.prod.example.com,[db2]:2201";
        assert_eq!(
            facts.known_hosts(),
            format!(
                "[b.example.com]:2222,[192.0.2.1]:2222 ssh-ed25519 KEY us\n\
                 @cert-authority {names} ssh-ed25519 CA ca\n{names} ssh-ed25519 KEY us"
            )
        );
        let config = facts.ssh_config();
        let hosts: Vec<_> = config
            .lines()
            .filter(|line| line.starts_with("Host "))
            .collect();
        assert_eq!(hosts, ["Host bastion", "Host db1 db2 *.prod.example.com"]);
        let nothing = Facts {
            targets: Vec::new(),
            patterns: Vec::new(),
            ..facts
        };
        assert!(!nothing.known_hosts().contains("cert-authority"));
        assert_eq!(nothing.ssh_config().matches("Host ").count(), 1);
    }
}
