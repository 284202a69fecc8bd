//! The ways to the target.

/// Each is a `Host` of the stage's ssh_config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Direct,
    /// `ssh -J` through a plain sshd: it sees ciphertext, and records nothing.
    ProxyJump,
    /// An sshd whose ForceCommand opens an ssh to the target.
    ForceCommand,
    /// The same, recorded by tlog.
    Tlog,
    /// Portcullis, `ssh login@target@bastion`.
    Name,
    /// Portcullis, `ssh -J bastion target`.
    Jump,
}

impl Door {
    pub(crate) const ALL: [Self; 6] = [
        Self::Direct,
        Self::ProxyJump,
        Self::ForceCommand,
        Self::Tlog,
        Self::Name,
        Self::Jump,
    ];

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::ProxyJump => "hop",
            Self::ForceCommand => "force",
            Self::Tlog => "tlog",
            Self::Name => "byname",
            Self::Jump => "byjump",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::ProxyJump => "sshd -J",
            Self::ForceCommand => "sshd ForceCommand",
            Self::Tlog => "the same, tlog",
            Self::Name => "Portcullis, name",
            Self::Jump => "Portcullis, jump",
        }
    }
}
