//! The machine: does its clock agree with others, is there room for recordings?

use super::finding::{Finding, Report};
use crate::config::Config;
use crate::record::Free;
use std::time::Duration;
use tokio::process::Command;

/// It asks a service over D-Bus.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Certificates are checked by this clock, and evidence carries it.
pub(super) async fn clock() -> Vec<Finding> {
    let mut report = Report::new("clock");
    match synchronised().await {
        Some(true) => report.fine("synchronised"),
        Some(false) => report.finding(
            "not synchronised: certificates and evidence rely on it",
            "start systemd-timesyncd or chrony: timedatectl set-ntp true",
        ),
        None => report.note(
            "whether it is synchronised cannot be told: timedatectl does not answer",
            "look at `chronyc tracking` or the host of this container",
        ),
    }
    report.findings
}

async fn synchronised() -> Option<bool> {
    let mut ask = Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"])
        .kill_on_drop(true);
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask.output()).await;
    let answer = String::from_utf8(asked.ok()?.ok()?.stdout).ok()?;
    match answer.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

pub(super) fn disk(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("disk");
    let shown = config.state.display();
    let disk = match rustix::fs::statvfs(&config.state) {
        Ok(disk) => disk,
        Err(error) => {
            report.finding(format!("{shown}: {error}"), "mount it");
            return report.findings;
        }
    };
    let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let mib = free / (1024 * 1024);
    let advice = "make room, or set `[recording] warn` and `refuse` to what this disk needs";
    let below = |mark: Free| mark.is_below(free, total);
    if below(config.record.refuse_free) {
        let says = format!("{mib} MiB are free in {shown}, below `refuse`: no session opens");
        report.finding(says, advice);
    } else if below(config.record.warn_free) {
        report.finding(
            format!("{mib} MiB are free in {shown}, below `warn`"),
            advice,
        );
    } else {
        report.fine(format!("{mib} MiB are free in {shown}"));
    }
    if disk.f_favail == 0 && disk.f_files > 0 {
        report.finding(
            format!("no inodes are free in {shown}"),
            "remove files there",
        );
    }
    report.findings
}
