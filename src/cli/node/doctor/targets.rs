//! Each listed target: reachable, the right one, and open to the bastion's certificates?

use super::finding::{Finding, Report};
use crate::access::{HostCheck, Target, Targets};
use crate::ca::Signer;
use crate::clock::Clock;
use crate::config::Config;
use crate::id::Login;
use crate::proxy::{Dialler, Probed, probe};
use crate::server;
use futures_util::StreamExt;
use std::sync::Arc;

/// Asked at once; all their connections come from this address.
const AT_ONCE: usize = 8;
/// Since this version sshd punishes addresses by itself.
const PENALTIES_SINCE: (u32, u32) = (9, 8);

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("targets");
    let targets = match server::targets(config) {
        Ok(targets) => targets,
        Err(faults) => {
            for fault in faults {
                report.finding(fault, "mend it in the configuration");
            }
            return report.findings;
        }
    };
    if targets.listed().is_empty() && config.matching.is_empty() {
        report.note(
            "there are none",
            "add `[[target]]`; `portcullis target-setup NAME` then",
        );
        return report.findings;
    }
    // Without it the keys' own finding says so.
    let Ok(signer) = Signer::open(&config.target_ca).await else {
        return report.findings;
    };
    let dialler = Dialler::new(Clock::system(), signer, &config.proxy);
    let asked = targets
        .listed()
        .iter()
        .map(|target| ask(&dialler, &targets, target));
    let reports: Vec<Vec<Finding>> = futures_util::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect()
        .await;
    report.findings.extend(reports.into_iter().flatten());
    report.findings
}

async fn ask(dialler: &Dialler, targets: &Targets, target: &Arc<Target>) -> Vec<Finding> {
    let mut report = Report::new("targets");
    let name = &target.name;
    if target.host_check == HostCheck::Missing {
        let advice = "add `host = { ca = \"FILE\" }`, { known_hosts } or { keys } to the target";
        report.finding(format!("{name}: nothing verifies its host key"), advice);
    }
    let mut logins = target
        .logins
        .iter()
        .filter_map(|login| login.parse::<Login>().ok());
    let login = logins.next();
    let probed = probe(dialler, targets, target, login.as_ref()).await;
    judge(&mut report, target, login.as_ref(), &probed);
    report.findings
}

fn judge(report: &mut Report, target: &Target, login: Option<&Login>, probed: &Probed) {
    let name = &target.name;
    let greeting = probed.greeting.as_deref().unwrap_or_default();
    if greeting.contains("Exceeded MaxStartups") || greeting.contains("Not allowed at this time") {
        let says = format!("{name}: it turns this bastion away: {greeting}");
        report.finding(
            says,
            format!("run the script of `portcullis target-setup {name}` there"),
        );
    } else if let Some(problem) = &probed.problem {
        let where_to = probed
            .address
            .map_or_else(String::new, |at| format!(" ({at})"));
        report.finding(
            format!("{name}{where_to}: {}", problem.says),
            problem.hint.clone(),
        );
    } else {
        let by = probed
            .host_key
            .as_ref()
            .map_or("", |key| key.verified_by.as_str());
        match login {
            Some(login) => {
                report.fine(format!(
                    "{name}: host verified by {by}, `{login}` can log in"
                ));
            }
            None => report.note(
                format!("{name}: host verified by {by}; no login was tried"),
                "`logins` has none that is not \"$identity\"",
            ),
        }
    }
    if version(greeting).is_some_and(|version| version >= PENALTIES_SINCE) {
        let from = probed
            .own_address
            .map_or("this bastion".to_owned(), |own| own.to_string());
        report.note(
            format!("{name}: its sshd punishes addresses, and from here one cannot see if it spares {from}"),
            format!(
                "on {name}: sshd -T | grep -i -e persourcepenalty -e maxstartups; the script of \
                 `portcullis target-setup {name}` sets both"
            ),
        );
    }
}

/// Of `SSH-2.0-OpenSSH_9.8p1 Debian-1`.
fn version(greeting: &str) -> Option<(u32, u32)> {
    let (_, rest) = greeting.split_once("OpenSSH_")?;
    let (major, rest) = rest.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Problem;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(version("SSH-2.0-OpenSSH_9.2p1 Debian-2"), Some((9, 2)));
        assert!(version("SSH-2.0-OpenSSH_10.0").unwrap() > PENALTIES_SINCE);
        assert_eq!(version("SSH-2.0-dropbear"), None);
    }

    #[test]
    fn a_target_that_turns_us_away_is_not_mistaken_for_one_that_is_down() {
        let targets = Targets::new(
            vec![Target {
                name: "db1".parse().unwrap(),
                host: "db1".to_owned(),
                port: 22,
                logins: Vec::new(),
                labels: std::collections::BTreeMap::new(),
                host_check: HostCheck::Missing,
                auth: crate::access::TargetAuth::Certificate,
                source_address: crate::access::SourceAddress::Auto,
                durability: crate::record::Durability::Batch,
                listed: true,
            }],
            Vec::new(),
            [],
        );
        let target = Arc::clone(&targets.unwrap().listed()[0]);
        let probed = Probed {
            greeting: Some("Exceeded MaxStartups".to_owned()),
            problem: Some(Problem {
                code: "gone",
                says: "gone".to_owned(),
                hint: "try again".to_owned(),
            }),
            ..Probed::default()
        };
        let mut report = Report::new("targets");
        judge(&mut report, &target, None, &probed);
        let advice = report.findings[0].advice.clone().unwrap();
        assert!(advice.contains("target-setup db1"), "{advice}");
    }
}
