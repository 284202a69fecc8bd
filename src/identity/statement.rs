//! What a CA says of a person: groups, reason, ticket, grant, approvers, as extensions.

use super::Refusal;
use super::trust::Authority;
use crate::event::{Approver, Claimed, Why, WhySource};
use crate::id::{Subject, Ticket};
use russh::keys::ssh_key::Certificate;

pub const GROUPS: &str = "groups@portcullis";
pub const REASON: &str = "reason@portcullis";
pub const TICKET: &str = "ticket@portcullis";
/// Id of a grant.
pub const GRANT: &str = "grant@portcullis";
/// Comma separated; each a name, or `name=TIME` (RFC 3339).
pub const APPROVERS: &str = "approvers@portcullis";
const OURS: &str = "@portcullis";

/// Bytes of one statement: it is copied into every event of a session.
const STATEMENT_BYTES_MAX: usize = 4 * 1024;
/// Statements that nobody is believed for: recorded, so bounded.
const CLAIMS_MAX: usize = 16;
const GROUPS_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 128;
const APPROVERS_MAX: usize = 16;

/// Read and believed as far as the CA is.
pub(super) struct Statements {
    pub(super) groups: Vec<String>,
    pub(super) why: Why,
}

/// Reason and ticket: any CA may set them (they are text for the record). Groups, grant and
/// approvers decide things, so only a CA that is believed for them sets those. The rest is claimed.
pub(super) fn read(certificate: &Certificate, by: &Authority) -> Result<Statements, Refusal> {
    let mut groups = Vec::new();
    let mut why = Why::default();
    let mut claimed = Claimed::default();
    for (name, value) in certificate.extensions().iter() {
        if !name.ends_with(OURS) {
            continue;
        }
        let refuse = |problem| Refusal::BadExtension {
            name: name.clone(),
            problem,
        };
        if value.len() > STATEMENT_BYTES_MAX {
            return Err(refuse("it is longer than 4 KiB"));
        }
        match name.as_str() {
            GROUPS if by.is_believed_for("groups") => {
                groups = read_groups(value).map_err(refuse)?
            }
            GRANT if by.is_believed_for("grant") => {
                let grant: Ticket = value.parse().map_err(|_| refuse(NOT_A_NAME))?;
                why.grant = Some(grant.to_string());
            }
            APPROVERS if by.is_believed_for("approvers") => {
                why.approvers = read_approvers(value).map_err(refuse)?;
            }
            REASON => {
                why.justification = Some(value.clone()).filter(|text| !text.trim().is_empty())
            }
            TICKET => why.ticket = Some(value.parse().map_err(|_| refuse(NOT_A_NAME))?),
            _ if claimed.0.len() >= CLAIMS_MAX => return Err(refuse("there are too many")),
            _ => {
                claimed.0.insert(name.clone(), value.clone());
            }
        }
    }
    if why.grant.is_some() || why.justification.is_some() || why.ticket.is_some() {
        why.source = Some(WhySource::Certificate);
    }
    why.claimed = Some(claimed).filter(|claimed| !claimed.0.is_empty());
    Ok(Statements { groups, why })
}

const NOT_A_NAME: &str = "it must be [A-Za-z0-9._@+/-], at most 128 bytes";

fn read_groups(list: &str) -> Result<Vec<String>, &'static str> {
    let mut groups = Vec::new();
    for group in list
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
    {
        if group.len() > GROUP_BYTES_MAX || group.chars().any(char::is_control) {
            return Err("a group is longer than 128 bytes or has a control character");
        }
        if groups.len() >= GROUPS_MAX {
            return Err("it names more than 256 groups");
        }
        groups.push(group.to_owned());
    }
    Ok(groups)
}

fn read_approvers(list: &str) -> Result<Vec<Approver>, &'static str> {
    let mut approvers = Vec::new();
    for entry in list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        if approvers.len() >= APPROVERS_MAX {
            return Err("it names more than 16 approvers");
        }
        let (name, at) = match entry.split_once('=') {
            Some((name, time)) => {
                let at = chrono::DateTime::parse_from_rfc3339(time)
                    .map_err(|_| "the time of an approval is not RFC 3339")?;
                (name, Some(at.to_utc()))
            }
            None => (entry, None),
        };
        let subject: Subject = name.parse().map_err(|_| "an approver is not an identity")?;
        approvers.push(Approver {
            subject: subject.to_string(),
            at,
        });
    }
    Ok(approvers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_or_refused_whole() {
        assert_eq!(read_groups(" dba, ops ,,").unwrap(), ["dba", "ops"]);
        assert!(read_groups("a\u{7}b").is_err());
        assert!(read_groups(&"x,".repeat(300)).is_err());
        assert!(read_groups(&"x".repeat(129)).is_err());

        let approvers = read_approvers("ben,eva=2026-01-02T03:04:05Z").unwrap();
        assert_eq!(approvers[0].subject, "ben");
        assert!(approvers[0].at.is_none() && approvers[1].at.is_some());
        for bad in [
            "ben=yesterday",
            "b n",
            "=2026-01-02T03:04:05Z",
            &"a,".repeat(17),
        ] {
            assert!(read_approvers(bad).is_err(), "{bad}");
        }
    }
}
