//! `policy`: are the policies good, do they answer the examples as they must?

use super::explain;
use crate::access::{load_examples, load_policies};
use crate::cli::answer::{Fault, finish, json, line_end, print};
use crate::cli::tree::PolicyVerb;
use crate::config::Config;
use crate::event::Shown;
use crate::proxy::Call;

/// The policies or the configuration cannot be read.
pub(crate) const USAGE: u8 = 2;

pub(crate) async fn run(verb: &PolicyVerb, config: &Config, call: &mut Call) -> u8 {
    let done = match verb {
        PolicyVerb::Check(args) => check(config, args.json, call).await,
        PolicyVerb::Test(args) => test(config, args.json, call).await,
        PolicyVerb::Explain(args) => explain::run(args, config, call).await,
    };
    finish(done, call).await
}

async fn check(config: &Config, as_json: bool, call: &mut Call) -> Result<u8, Fault> {
    let loaded = load_policies(&config.policies);
    let dir = config.policies.display();
    let lines = |faults: &[crate::policy::Fault]| -> Vec<String> {
        faults
            .iter()
            .map(|fault| format!("{dir}/{fault}"))
            .collect()
    };
    let (hash, faults, warnings) = match &loaded {
        Ok(set) => (Some(set.hash()), Vec::new(), lines(set.warnings())),
        Err(faults) => (None, lines(faults), Vec::new()),
    };
    if as_json {
        let text = json(&serde_json::json!({
            "good": faults.is_empty(), "sha256": hash, "faults": faults, "warnings": warnings,
        }))?;
        answer(call, &text).await?;
        return Ok(u8::from(!faults.is_empty()));
    }
    say(call, &faults).await?;
    say(call, &warnings).await?;
    if let Some(hash) = hash {
        let text = format!("the policies are good ({hash})");
        answer(call, &text).await?;
    }
    Ok(u8::from(!faults.is_empty()))
}

async fn test(config: &Config, as_json: bool, call: &mut Call) -> Result<u8, Fault> {
    let dir = config.policies.display();
    let loaded =
        load_policies(&config.policies).and_then(|set| Ok((set, load_examples(&config.policies)?)));
    let (set, examples) = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            let lines = faults.iter().map(|fault| format!("{dir}/{fault}"));
            say(call, &lines.collect::<Vec<_>>()).await?;
            return Ok(USAGE);
        }
    };
    let failed = examples
        .iter()
        .filter_map(|example| example.check(&set).err());
    let failed: Vec<String> = failed.map(|failed| format!("{dir}/{failed}")).collect();
    if as_json {
        let text = json(&serde_json::json!({
            "examples": examples.len(), "failed": failed,
        }))?;
        answer(call, &text).await?;
    } else {
        say(call, &failed).await?;
        let text = format!("{} examples, {} failed", examples.len(), failed.len());
        answer(call, &text).await?;
    }
    Ok(u8::from(!failed.is_empty()))
}

async fn answer(call: &mut Call, text: &str) -> Result<(), Fault> {
    let end = line_end(call);
    print(&mut call.output, end, text).await
}

pub(crate) async fn say(call: &mut Call, lines: &[String]) -> Result<(), Fault> {
    let end = line_end(call);
    for line in lines {
        let line = format!("portcullis: {}", Shown(line));
        print(&mut call.errors, end, &line).await?;
    }
    Ok(())
}
