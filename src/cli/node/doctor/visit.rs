use super::finding::{Finding, Level, Report};
use super::{files, machine, running, targets};
use crate::config::{self, Config};
use crate::event::Shown;
use anyhow::anyhow;
use std::io::{self, Write};
use std::path::Path;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DoctorArgs {
    /// One JSON document.
    #[arg(long)]
    pub json: bool,
}

/// 0: fine, notes or not; 1: there are findings.
pub async fn run(args: DoctorArgs, flag: Option<&Path>) -> anyhow::Result<u8> {
    let file = config::find(flag).map_err(|message| anyhow!(message))?;
    let findings = look(&file).await;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&findings)?)?;
    } else {
        for finding in &findings {
            print(&mut out, finding)?;
        }
    }
    let wrong = findings.iter().any(|f| f.level == Level::Finding);
    Ok(u8::from(wrong))
}

async fn look(file: &Path) -> Vec<Finding> {
    let mut report = Report::new("configuration");
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults.0 {
                report.finding(fault, "mend it; the other checks follow then");
            }
            return report.findings;
        }
    };
    report.fine(format!("{} is good", config.file.display()));
    let mut findings = report.findings;
    findings.extend(files::policies(&config));
    findings.extend(files::keys(&config).await);
    findings.extend(files::revocations(&config));
    findings.extend(files::state(&config));
    findings.extend(machine::clock().await);
    findings.extend(machine::disk(&config));
    findings.extend(running::bastion(&config).await);
    findings.extend(targets::all(&config).await);
    findings
}

fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let mark = match finding.level {
        Level::Fine => "fine   ",
        Level::Note => "note   ",
        Level::Finding => "FINDING",
    };
    let area = finding.area;
    writeln!(out, "{mark} {area:<14} {}", Shown(&finding.says))?;
    for line in finding.advice.iter().flat_map(|advice| advice.lines()) {
        writeln!(out, "                       do: {}", Shown(line))?;
    }
    Ok(())
}
