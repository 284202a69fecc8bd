//! `target-setup`: what a target's sshd needs to accept this bastion, as lines or as a script that
//! sets them.

use crate::access::{SourceAddress, Target};
use crate::ca;
use crate::cli::answer::{Fault, finish, line_end, print};
use crate::cli::tree::TargetSetupArgs;
use crate::config::Config;
use crate::proxy::{Call, own_address};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The script, with three words to fill in.
const SCRIPT: &str = include_str!("target-setup.sh");

pub(crate) async fn run(args: &TargetSetupArgs, config: &Config, call: &mut Call) -> u8 {
    let done = show(args, config, call).await;
    finish(done, call).await
}

async fn show(args: &TargetSetupArgs, config: &Config, call: &mut Call) -> Result<u8, Fault> {
    let targets = wanted(args.name.as_deref(), &config.targets)?;
    let key = ca::public_of(&config.target_ca)
        .await
        .and_then(|key| key.to_openssh().map_err(|e| ca::Error::Sign(e.to_string())))
        .map_err(|error| Fault::Broken(error.to_string()))?;
    let mut addresses = BTreeSet::new();
    for target in &targets {
        addresses.extend(sources(target).await);
    }
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    let addresses = addresses.join(",");
    let end = line_end(call);
    if args.lines {
        return print(&mut call.output, end, &lines(&key, &addresses))
            .await
            .map(|()| 0);
    }
    let whom = args.name.as_deref().unwrap_or("every target");
    let text = SCRIPT
        .replace("@WHOM@", whom)
        .replace("@KEY@", &key)
        .replace("@ADDRESSES@", &addresses);
    print(&mut call.output, end, &text).await?;
    Ok(0)
}

fn wanted<'a>(name: Option<&str>, targets: &'a [Target]) -> Result<Vec<&'a Target>, Fault> {
    let Some(name) = name else {
        return Ok(targets.iter().collect());
    };
    let found = targets.iter().find(|target| {
        name.parse::<crate::id::TargetName>()
            .is_ok_and(|name| name == target.name)
    });
    found.map(|target| vec![target]).ok_or_else(|| {
        Fault::Usage(format!(
            "no listed target `{name}`: `target-setup` without a name is for all of them"
        ))
    })
}

/// Where the target sees this bastion come from, as far as that can be told from here.
async fn sources(target: &Target) -> Vec<IpAddr> {
    match &target.source_address {
        SourceAddress::List(list) => list.clone(),
        SourceAddress::Auto | SourceAddress::Off => own_address(target).await.into_iter().collect(),
    }
}

fn lines(key: &str, addresses: &str) -> String {
    let addresses = match addresses {
        "" => "ADDRESS-OF-THE-BASTION",
        known => known,
    };
    format!(
        "# /etc/ssh/portcullis_target_ca.pub:\n\
         {key}\n\
         # sshd_config, before anything else that sets the same:\n\
         TrustedUserCAKeys /etc/ssh/portcullis_target_ca.pub\n\
         # All connections of the bastion come from one address.\n\
         MaxStartups 200:30:500\n\
         # OpenSSH 9.8 and newer, where `sshd -T` prints persourcepenalties:\n\
         PerSourcePenaltyExemptList {addresses}\n\
         # Its certificates name the login as their principal, as sshd expects by default. Where\n\
         # AuthorizedPrincipalsFile is set, the login must stand in that file."
    )
}
