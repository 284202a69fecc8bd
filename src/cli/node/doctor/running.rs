//! The bastion that runs here: does it take logins, what did its limits turn away?

use super::finding::{Finding, Report};
use crate::cli::node::control;
use crate::config::Config;

pub(super) async fn bastion(config: &Config) -> Vec<Finding> {
    let mut report = Report::new("bastion");
    let socket = config.state.join("control.sock");
    let status = match control::status(&socket).await {
        Ok(Some(status)) => status,
        Ok(None) => {
            report.note("it does not run here", "start it with `portcullis serve`");
            return report.findings;
        }
        Err(error) => {
            let says = format!("it does not answer at {}: {error}", socket.display());
            report.finding(says, "look at its log");
            return report.findings;
        }
    };
    if status.accepts_logins {
        report.fine(format!(
            "runs, {} connections, {} sessions",
            status.connections, status.sessions
        ));
    } else {
        let advice = "look at its log and at `revocations` above";
        report.finding("it takes no new logins", advice);
    }
    let refused = status.refused;
    let limits = [
        ("unauthenticated", refused.refused_total),
        ("unauthenticated_per_source", refused.refused_source),
        ("connections", refused.connections_exceeded),
        ("connections_per_person", refused.person_exceeded),
        ("login_grace", refused.grace_expired),
        ("offers", refused.offers_exceeded),
        ("channels", refused.channels_exceeded),
        ("env", refused.env_refused),
        ("memory", refused.memory_exceeded),
    ];
    for (limit, count) in limits.into_iter().filter(|(_, count)| *count > 0) {
        let says = format!("`[limits] {limit}` turned away {count} since the start");
        report.note(
            says,
            "raise it if those were people: `portcullis status` counts them",
        );
    }
    report.findings
}
