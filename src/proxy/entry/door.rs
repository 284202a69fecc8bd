//! The grammar of the user name at the door (docs/specification.md "Doors"). Pure.

use crate::id::{BadName, Login};

/// Login, separator and a DNS name.
const USER_BYTES_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// No separator: the console, verbs, and jumps. The name itself carries no right.
    Bastion,
    /// `LOGIN@TARGET`, or `LOGIN%TARGET` for tools that split at the first `@`.
    Name { login: Login, target: String },
    /// `login`: reserved for signing in.
    LoginDoor,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDoor {
    #[error("the user name is longer than {USER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the login in the user name is no login: {0}")]
    Login(BadName),
    #[error("the user name has a login but no target")]
    NoTarget,
    #[error("the user name has a control character")]
    Control,
}

/// Splits at the last `@`, else at the last `%`. The target is made canonical later, by `access`.
///
/// # Errors
/// [`BadDoor`], for names that are neither.
pub fn parse(user: &str) -> Result<Entry, BadDoor> {
    if user.len() > USER_BYTES_MAX {
        return Err(BadDoor::TooLong);
    }
    if user.chars().any(char::is_control) {
        return Err(BadDoor::Control);
    }
    let Some((login, target)) = user.rsplit_once('@').or_else(|| user.rsplit_once('%')) else {
        return Ok(match user {
            "login" => Entry::LoginDoor,
            _ => Entry::Bastion,
        });
    };
    if target.is_empty() {
        return Err(BadDoor::NoTarget);
    }
    Ok(Entry::Name {
        login: login.parse().map_err(BadDoor::Login)?,
        target: target.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(login: &str, target: &str) -> Result<Entry, BadDoor> {
        Ok(Entry::Name {
            login: login.parse().unwrap(),
            target: target.to_owned(),
        })
    }

    #[test]
    fn names_split_at_the_last_separator() {
        assert_eq!(parse("root@db1"), name("root", "db1"));
        assert_eq!(parse("root%db1"), name("root", "db1"));
        assert_eq!(parse("ana"), Ok(Entry::Bastion));
        assert_eq!(parse(""), Ok(Entry::Bastion));
        assert_eq!(parse("login"), Ok(Entry::LoginDoor));
        assert_eq!(parse("root@"), Err(BadDoor::NoTarget));
        assert!(matches!(parse("@db1"), Err(BadDoor::Login(BadName::Empty))));
        assert!(matches!(parse("a@b@db1"), Err(BadDoor::Login(_))));
        assert_eq!(parse("ro\not@db1"), Err(BadDoor::Control));
        assert_eq!(parse(&"x".repeat(513)), Err(BadDoor::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_verdict(user: String) {
            if let Ok(Entry::Name { login, target }) = parse(&user) {
                prop_assert!(user.starts_with(login.as_str()));
                prop_assert!(user.ends_with(&target));
            }
        }
    }
}
