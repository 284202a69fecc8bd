//! What a command says it is: the far side of rsync or git. Only a label: it is told when both
//! sides speak as that tool does, and nothing is decided by it.

use crate::event::{FileUse, Git, Kind, Rsync, TextOrBytes};

/// Options and paths that are listed; the rest is counted.
const WORDS_MAX: usize = 128;
/// What is listed of one of them.
const WORD_BYTES: usize = 4096;
const GIT: [(&[u8], &str, FileUse); 3] = [
    (b"git-upload-pack", "git-upload-pack", FileUse::Read),
    (b"git-receive-pack", "git-receive-pack", FileUse::Write),
    (b"git-upload-archive", "git-upload-archive", FileUse::Read),
];
/// rsync's protocol versions, far beyond the present 31.
const RSYNC_VERSIONS: std::ops::RangeInclusive<u32> = 20..=99;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Rsync(Rsync),
    Git(Git),
}

impl Tool {
    pub(super) fn of(command: &[u8]) -> Option<Self> {
        let words = shlex::bytes::split(command)?;
        rsync(&words).or_else(|| git(&words))
    }

    /// Whether this is how the tool begins to speak; `None` while it is too little to say.
    pub(super) fn is_spoken(&self, input: &[u8], output: &[u8]) -> Option<bool> {
        match self {
            Self::Rsync(_) => {
                let version = |bytes: &[u8]| {
                    let bytes = bytes.get(..4)?.try_into().ok()?;
                    Some(RSYNC_VERSIONS.contains(&u32::from_le_bytes(bytes)))
                };
                match (version(input), version(output)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    (None, _) | (_, None) => None,
                }
            }
            // A pkt-line: its length in four hexadecimal digits (gitprotocol-common).
            Self::Git(_) => {
                let length = output.get(..4)?;
                Some(length.iter().all(u8::is_ascii_hexdigit))
            }
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Rsync(rsync) => Kind::Rsync(rsync),
            Self::Git(git) => Kind::Git(git),
        }
    }
}

fn rsync(words: &[Vec<u8>]) -> Option<Tool> {
    let server = words.windows(2).position(
        |pair| matches!(pair, [name, flag] if base(name) == b"rsync" && flag == b"--server"),
    )?;
    let arguments = words.get(server + 2..)?;
    // Options end at the `.` that stands for the far side's own place.
    let dot = arguments.iter().position(|word| word == b".");
    let (options, paths) = arguments.split_at(dot.unwrap_or(arguments.len()));
    let sends = options.iter().any(|word| word == b"--sender");
    let paths = paths.get(1..).unwrap_or_default();
    let beyond = |words: &[Vec<u8>]| words.len().saturating_sub(WORDS_MAX) as u64;
    Some(Tool::Rsync(Rsync {
        operation: if sends { FileUse::Read } else { FileUse::Write },
        options: listed(options),
        paths: listed(paths),
        more: beyond(options) + beyond(paths),
    }))
}

fn git(words: &[Vec<u8>]) -> Option<Tool> {
    let (name, rest) = words.split_first()?;
    let (name, rest) = match rest.split_first() {
        Some((second, rest)) if base(name) == b"git" => {
            ([b"git-", second.as_slice()].concat(), rest)
        }
        _ => (base(name).to_vec(), rest),
    };
    let (_, service, operation) = GIT.into_iter().find(|(known, _, _)| *known == name)?;
    let repository = rest.last()?;
    Some(Tool::Git(Git {
        operation,
        service: service.to_owned(),
        repository: text(repository),
    }))
}

fn base(word: &[u8]) -> &[u8] {
    word.rsplit(|byte| *byte == b'/').next().unwrap_or(word)
}

fn listed(words: &[Vec<u8>]) -> Vec<TextOrBytes> {
    words
        .iter()
        .take(WORDS_MAX)
        .map(|word| text(word))
        .collect()
}

fn text(word: &[u8]) -> TextOrBytes {
    let mut text = TextOrBytes::from_bytes(word.get(..WORD_BYTES).unwrap_or(word));
    text.n = word.len() as u64;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_rsync_and_git_are_known() {
        let Some(Tool::Rsync(rsync)) =
            Tool::of(b"/usr/bin/rsync --server --sender -logDtpre.iLsfxCIvu --delete . '/a b' c")
        else {
            panic!("no rsync");
        };
        assert_eq!(rsync.operation, FileUse::Read);
        let texts = |words: &[TextOrBytes]| -> Vec<String> {
            words.iter().filter_map(|word| word.data.clone()).collect()
        };
        assert_eq!(
            texts(&rsync.options),
            ["--sender", "-logDtpre.iLsfxCIvu", "--delete"]
        );
        assert_eq!(texts(&rsync.paths), ["/a b", "c"]);

        for command in [
            &b"git-receive-pack '/srv/x\ny.git'"[..],
            b"git receive-pack '/srv/x\ny.git'",
        ] {
            let Some(Tool::Git(git)) = Tool::of(command) else {
                panic!("no git");
            };
            assert_eq!(
                (git.operation, git.service.as_str()),
                (FileUse::Write, "git-receive-pack")
            );
            assert_eq!(git.repository.data.as_deref(), Some("/srv/x\ny.git"));
        }
    }

    #[test]
    fn other_commands_are_not() {
        for command in [
            "rsync a b",
            "echo rsync --server",
            "git status",
            "git-upload-pack",
            "'",
            "",
        ] {
            let tool = Tool::of(command.as_bytes());
            // What looks like it is told only when it speaks like it.
            let spoken = tool.and_then(|tool| tool.is_spoken(b"hello", b"hello"));
            assert_ne!(spoken, Some(true), "{command}");
        }
    }
}
