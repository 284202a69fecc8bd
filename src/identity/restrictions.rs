use super::Refusal;

/// What options and extensions leave over. Rights only narrow: [`Restrictions::and`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restrictions {
    pub pty: bool,
    pub port_forwarding: bool,
    pub agent_forwarding: bool,
    pub x11_forwarding: bool,
    pub user_rc: bool,
    pub force_command: Option<String>,
}

impl Restrictions {
    /// Nothing but the session itself, as a certificate without extensions says it.
    pub fn nothing_extra() -> Self {
        Self {
            pty: false,
            port_forwarding: false,
            agent_forwarding: false,
            x11_forwarding: false,
            user_rc: false,
            force_command: None,
        }
    }

    /// Everything: the neutral side of [`Restrictions::and`].
    pub fn none() -> Self {
        Self {
            pty: true,
            port_forwarding: true,
            agent_forwarding: true,
            x11_forwarding: true,
            user_rc: true,
            force_command: None,
        }
    }

    /// What both allow. Two different forced commands have nothing in common, so that refuses, as
    /// OpenSSH does for a key line and a certificate (auth2-pubkey.c).
    pub fn and(self, other: Self) -> Result<Self, Refusal> {
        let force_command = match (self.force_command, other.force_command) {
            (Some(one), Some(two)) if one != two => return Err(Refusal::TwoForcedCommands),
            (Some(one), _) | (None, Some(one)) => Some(one),
            (None, None) => None,
        };
        Ok(Self {
            pty: self.pty && other.pty,
            port_forwarding: self.port_forwarding && other.port_forwarding,
            agent_forwarding: self.agent_forwarding && other.agent_forwarding,
            x11_forwarding: self.x11_forwarding && other.x11_forwarding,
            user_rc: self.user_rc && other.user_rc,
            force_command,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restrictions() -> impl Strategy<Value = Restrictions> {
        (any::<[bool; 5]>(), proptest::option::of("[ab]")).prop_map(|(flags, force_command)| {
            Restrictions {
                pty: flags[0],
                port_forwarding: flags[1],
                agent_forwarding: flags[2],
                x11_forwarding: flags[3],
                user_rc: flags[4],
                force_command,
            }
        })
    }

    /// Everything that `wide` forbids, `narrow` forbids.
    fn narrower(narrow: &Restrictions, wide: &Restrictions) -> bool {
        let flags = |r: &Restrictions| {
            [
                r.pty,
                r.port_forwarding,
                r.agent_forwarding,
                r.x11_forwarding,
                r.user_rc,
            ]
        };
        let flags_narrow = flags(narrow).iter().zip(flags(wide)).all(|(n, w)| !n || w);
        flags_narrow && (wide.force_command.is_none() || narrow.force_command == wide.force_command)
    }

    proptest! {
        #[test]
        fn what_either_forbids_both_forbid(a in restrictions(), b in restrictions()) {
            match a.clone().and(b.clone()) {
                Ok(both) => {
                    prop_assert!(narrower(&both, &a) && narrower(&both, &b));
                    prop_assert_eq!(Ok(both), b.and(a));
                }
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::TwoForcedCommands);
                    prop_assert_ne!(a.force_command, b.force_command);
                }
            }
        }

        #[test]
        fn none_is_neutral(a in restrictions()) {
            prop_assert_eq!(a.clone().and(Restrictions::none()), Ok(a));
        }
    }
}
