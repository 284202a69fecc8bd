//! What an auditor asks, each with what its answer is made from.

use super::section::Section;

pub(super) fn unseen() -> Section {
    Section::new(
        "unseen",
        "Not seen for 90 days",
        "People whose last session ended more than 90 days before the end of this report. Who \
             never had one is not in the index: compare with the list of those who may.",
        &["identity", "last session ended", "sessions"],
    )
}

pub(super) fn without_ticket() -> Section {
    Section::new(
        "without_ticket",
        "Sessions without a ticket",
        "Nothing but a reason, or not even that, says why.",
        &["session", "identity", "where", "start", "reason", "said by"],
    )
}

pub(super) fn refused() -> Section {
    Section::new(
        "refused",
        "Refused attempts",
        "auth.fail, access.deny, and verbs that were denied. What was denied inside of a \
                 session is counted there, in the column `refused`.",
        &["time", "what", "who", "from", "where", "why"],
    )
}

pub(super) fn revoked() -> Section {
    Section::new(
        "revoked",
        "Revocations",
        "cert.revoke and krl.load; and sessions that a revocation ended.",
        &["time", "who", "what", "reason"],
    )
}

pub(super) fn unused() -> Section {
    Section::new(
        "unused",
        "Rights never used",
        "Accounts that the configuration lists and no session of this time used, and \
                 certificates that were issued here in this time and never came.",
        &["right", "of", "since"],
    )
}

pub(super) fn reviews() -> Section {
    Section::new(
        "reviews",
        "Signed off",
        "Events `review`, of this time.",
        &["time", "session", "by", "note"],
    )
}

pub(super) fn gaps() -> Section {
    Section::new(
        "gaps",
        "Gaps",
        "Sessions with a recorded hole, or that ended with the recorder or the node; and \
                 what the node says of its own.",
        &["time", "where", "what"],
    )
}

pub(super) fn longest() -> Section {
    Section::new(
        "longest",
        "Longest sessions",
        "The first twenty.",
        &["session", "identity", "where", "start", "for"],
    )
}

pub(super) fn looks() -> Section {
    Section::new(
        "looks",
        "Who looked at recordings",
        "Events `view`, `replay` and `export`.",
        &["who", "how", "times"],
    )
}

pub(super) fn unreviewed() -> Section {
    Section::new(
        "unreviewed",
        "Sessions that nobody signed off",
        "`sessions --unreviewed` lists them.",
        &[],
    )
}
