//! The kinds of this version by name, for those who ask for one.

/// In the order of the alphabet.
pub const KINDS: [&str; 70] = [
    "access.admit",
    "access.deny",
    "agent.answer",
    "agent.bind",
    "agent.close",
    "agent.forward",
    "agent.list",
    "agent.open",
    "agent.query",
    "agent.refuse",
    "agent.sign",
    "alert",
    "auth.accept",
    "auth.fail",
    "blind",
    "cert.issue",
    "cert.revoke",
    "channel.close",
    "channel.open",
    "clock",
    "command",
    "command.secret",
    "commit",
    "config.change",
    "env",
    "error",
    "exec",
    "export",
    "forward.cancel",
    "forward.close",
    "forward.deny",
    "forward.listen",
    "forward.open",
    "gap",
    "git",
    "input",
    "input.reveal",
    "krl.load",
    "node.recover",
    "node.start",
    "node.stop",
    "notice",
    "output",
    "policy.change",
    "pty",
    "replay",
    "resize",
    "review",
    "rsync",
    "scp.directory",
    "scp.error",
    "scp.file",
    "search",
    "session.end",
    "session.renew",
    "session.start",
    "sftp.error",
    "sftp.file",
    "sftp.list",
    "sftp.operation",
    "shell",
    "signal",
    "stream",
    "stream.progress",
    "subsystem",
    "target.auth",
    "target.fail",
    "verb",
    "view",
    "why.set",
];

/// The kinds that are most like a name that is none, best first.
pub fn nearest_kinds(name: &str) -> Vec<&'static str> {
    let mut all: Vec<_> = KINDS
        .iter()
        .map(|kind| (strsim::jaro_winkler(name, kind), *kind))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    all.into_iter()
        .take(NEAREST)
        .map(|(_, kind)| kind)
        .collect()
}

const NEAREST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_kind_is_near_to_what_was_meant() {
        for (typed, meant) in [
            ("exce", "exec"),
            ("session.begin", "session.start"),
            ("comand", "command"),
            ("AUTH.FAIL", "auth.fail"),
            ("", "access.admit"),
        ] {
            let near = nearest_kinds(&typed.to_lowercase());
            assert!(near.contains(&meant), "{typed}: {near:?}");
        }
    }
}
