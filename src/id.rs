//! Names of things, one type each, so that a channel can never be passed where a session is meant.
//!
//! Everything here is checked when it is made: inside the house there are no strings that mean
//! something.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::{NoContext, Timestamp, Uuid};

/// Bytes of an identity, a ticket or a login.
const NAME_BYTES_MAX: usize = 128;
/// A DNS name: RFC 1035 §2.3.4.
const TARGET_BYTES_MAX: usize = 253;

/// One person's access to one target as one login over one SSH connection. UUIDv7: sorts by time.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// A new name: this moment to the millisecond, the rest random (RFC 9562 §5.7).
    pub fn at(now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let moment = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
        Self(Uuid::new_v7(moment))
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The moment that the name was made, to the millisecond.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse()?))
    }
}

/// An SSH channel of the user side (RFC 4254 §5.1), numbered by us from 0 in each session.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ChannelId(pub u32);

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of an event in its stream: from 0, without gaps.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Why a text is not a name. Says which rule it broke, never more of the text than the rule needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    #[error("it has a character other than {0}")]
    Character(&'static str),
    #[error("it is not a host name")]
    Host,
}

fn checked(
    text: &str,
    max: usize,
    allowed: impl Fn(char) -> bool,
    rule: &'static str,
) -> Result<String, BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > max {
        return Err(BadName::TooLong(max));
    }
    if !text.chars().all(allowed) {
        return Err(BadName::Character(rule));
    }
    Ok(text.to_owned())
}

fn is_identity_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._@+/-".contains(c)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let parse: fn(&str) -> Result<String, BadName> = $parse;
                parse(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name!(
    /// A person (or a machine) as certificates name it: `[A-Za-z0-9._@+/-]`, at most 128 bytes.
    Subject,
    |text| checked(text, NAME_BYTES_MAX, is_identity_character, "[A-Za-z0-9._@+/-]")
);
name!(
    /// A reference in another system: `[A-Za-z0-9._@+/-]`, at most 128 bytes.
    Ticket,
    |text| checked(text, NAME_BYTES_MAX, is_identity_character, "[A-Za-z0-9._@+/-]")
);
name!(
    /// The account on the target, at most 128 bytes, no white space, control character, `@`, `%` or `:`.
    Login,
    |text| checked(
        text,
        NAME_BYTES_MAX,
        |c| !c.is_control() && !c.is_whitespace() && !"@%:\"'`$".contains(c),
        "a login may have"
    )
);
name!(
    /// A target's name in canonical form: lower case, no trailing dot, IDNA applied; or an address.
    TargetName,
    canonical_host
);

impl TargetName {
    /// The reserved name of what is not there (RFC 6761 §6.4).
    pub fn nowhere() -> Self {
        Self("invalid".to_owned())
    }
}

/// RFC 5890 (IDNA), lower case, no trailing dot. Addresses are written as Rust writes them, so that
/// `[::1]`, `0:0::1` and `::1` are one name.
fn canonical_host(text: &str) -> Result<String, BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > TARGET_BYTES_MAX {
        return Err(BadName::TooLong(TARGET_BYTES_MAX));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<std::net::IpAddr>() {
        return Ok(ip.to_canonical().to_string());
    }
    // IDNA may make a dot of another character, and digits of others: so it comes first.
    let ascii = idna::domain_to_ascii(bare).map_err(|_| BadName::Host)?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    if let Ok(ip) = ascii.parse::<std::net::IpAddr>() {
        return Ok(ip.to_canonical().to_string());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let empty_label = ascii.split('.').any(str::is_empty);
    if empty_label || ascii.starts_with('-') || !ascii.chars().all(plain) {
        return Err(BadName::Host);
    }
    if ascii.len() > TARGET_BYTES_MAX {
        return Err(BadName::TooLong(TARGET_BYTES_MAX));
    }
    Ok(ascii.to_owned())
}

/// Does `text` match `pattern`, where `*` stands for any run and `?` for one character? ASCII case
/// does not count. Linear in the product of both lengths, so that no pattern is a trap.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut reachable = vec![false; pattern.len() + 1];
    let starts = |reachable: &mut [bool]| {
        for at in 0..pattern.len() {
            if reachable.get(at) == Some(&true)
                && pattern.get(at) == Some(&'*')
                && let Some(next) = reachable.get_mut(at + 1)
            {
                *next = true;
            }
        }
    };
    if let Some(first) = reachable.first_mut() {
        *first = true;
    }
    starts(&mut reachable);
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        let mut next = vec![false; pattern.len() + 1];
        for (at, expected) in pattern.iter().enumerate() {
            if reachable.get(at) != Some(&true) {
                continue;
            }
            let to = match expected {
                '*' => at,
                '?' => at + 1,
                expected if *expected == c => at + 1,
                _ => continue,
            };
            if let Some(cell) = next.get_mut(to) {
                *cell = true;
            }
        }
        starts(&mut next);
        reachable = next;
    }
    reachable.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn aliases_of_a_target_are_one_name() {
        for alias in ["db1.example.com", "DB1.Example.COM", "db1.example.com."] {
            assert_eq!(
                alias.parse::<TargetName>().unwrap().as_str(),
                "db1.example.com",
                "{alias}"
            );
        }
        for alias in ["db1。example.com", "db1.example.com．"] {
            assert_eq!(
                alias.parse::<TargetName>().unwrap().as_str(),
                "db1.example.com",
                "{alias}"
            );
        }
        for alias in ["127.0.0.1", "１２７.0.0.1", "127.0.0.1."] {
            assert_eq!(alias.parse::<TargetName>().unwrap().as_str(), "127.0.0.1");
        }
        for alias in ["::1", "[::1]", "0:0:0::1"] {
            assert_eq!(alias.parse::<TargetName>().unwrap().as_str(), "::1");
        }
        assert_eq!(
            "::ffff:10.0.0.1".parse::<TargetName>().unwrap().as_str(),
            "10.0.0.1"
        );
    }

    proptest! {
        /// A name that is canonical stays as it is, whatever it was made from.
        #[test]
        fn canonical_names_are_canonical(text in "[a-zA-Z0-9.。．%１Ｄßé\\[\\]:-]{0,12}") {
            if let Ok(name) = text.parse::<TargetName>() {
                let again = name.as_str().parse::<TargetName>();
                prop_assert_eq!(again.as_ref(), Ok(&name));
            }
        }
    }

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, text, expected) in [
            ("*.prod.example.com", "db1.PROD.example.com", true),
            ("*.prod.example.com", "prod.example.com", false),
            ("db?", "db1", true),
            ("db?", "db12", false),
            ("*", "", true),
            ("", "", true),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxcxxb", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for bad in [
            "",
            "..",
            ".",
            "d..",
            "d..e",
            "-x",
            "a b",
            "a\nb",
            "a;b",
            &"x".repeat(300),
        ] {
            assert!(bad.parse::<TargetName>().is_err(), "{bad}");
        }
        for bad in ["", "ana banana", "ana\n", "é", &"a".repeat(129)] {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
        for bad in ["", "ro ot", "root@db", "a%b", "a\u{7}b"] {
            assert!(bad.parse::<Login>().is_err(), "{bad}");
        }
    }
}
