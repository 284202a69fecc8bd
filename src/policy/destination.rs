//! Where a forward goes, in the one form that is decided on and sent: what a resolver would take for
//! an address is an address here.

use super::Action;
use crate::id::TargetName;
use std::net::IpAddr;

/// Of a unix socket, bytes: `sun_path` of Linux with its end.
const PATH_BYTES_MAX: usize = 107;

/// Where a forward goes, or where a listener listens, seen from the target. Made by its constructors,
/// so that two spellings of one place are one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Host { host: String, port: u16 },
    Socket(String),
}

/// What a listener on all addresses is called.
const EVERYWHERE: &str = "*";

/// Why a text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    #[error("it is no host name and no address")]
    Host,
    #[error("a port is a number from 1 to 65535")]
    Port,
    #[error(
        "the path of a socket is absolute, without `..`, `.`, `//` and control characters, at most {PATH_BYTES_MAX} bytes"
    )]
    Path,
}

impl Destination {
    /// A host and port to connect to. All that a `connect` takes for this very machine is
    /// `127.0.0.1`, `::1` or `localhost`.
    ///
    /// # Errors
    /// [`BadDestination`].
    pub fn host(host: &str, port: u32) -> Result<Self, BadDestination> {
        let port = u16::try_from(port).ok().filter(|port| *port != 0);
        let port = port.ok_or(BadDestination::Port)?;
        let host = match address(host) {
            Some(ip) => connected(ip).to_string(),
            None => name(host)?,
        };
        Ok(Self::Host { host, port })
    }

    /// Where a listener is asked for (RFC 4254 §7.1); port 0 lets the target choose.
    ///
    /// # Errors
    /// [`BadDestination`].
    pub fn listener(host: &str, port: u32) -> Result<Self, BadDestination> {
        let port = u16::try_from(port).map_err(|_| BadDestination::Port)?;
        let host = match host {
            "" | EVERYWHERE => EVERYWHERE.to_owned(),
            host => match address(host) {
                Some(ip) if ip.is_unspecified() => EVERYWHERE.to_owned(),
                Some(ip) => ip.to_string(),
                None => name(host)?,
            },
        };
        Ok(Self::Host { host, port })
    }

    /// The one that this action is about.
    ///
    /// # Errors
    /// [`BadDestination`].
    pub fn of(action: Action, host: &str, port: u32) -> Result<Self, BadDestination> {
        match action == Action::ForwardRemote {
            true => Self::listener(host, port),
            false => Self::host(host, port),
        }
    }

    /// A unix socket. Its path is compared as it is written, so it must have one spelling only.
    ///
    /// # Errors
    /// [`BadDestination`].
    pub fn socket(path: &str) -> Result<Self, BadDestination> {
        let rest = path.strip_prefix('/').ok_or(BadDestination::Path)?;
        let fits = path.len() <= PATH_BYTES_MAX
            && !path.chars().any(char::is_control)
            && rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
        match fits {
            true => Ok(Self::Socket(path.to_owned())),
            false => Err(BadDestination::Path),
        }
    }

    /// The target itself, reached through no network.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Host { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{host} port {port}"),
            Self::Socket(path) => f.write_str(path),
        }
    }
}

/// Canonical as the names of targets are.
fn name(host: &str) -> Result<String, BadDestination> {
    let name: TargetName = host.parse().map_err(|_| BadDestination::Host)?;
    // IDNA may have made an address of it.
    match address(name.as_str()) {
        Some(ip) => Ok(connected(ip).to_string()),
        None => Ok(name.as_str().to_owned()),
    }
}

/// `connect` to the unspecified address reaches the machine itself.
fn connected(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0u16, 0, 0, 0, 0, 0, 0, 1]),
        IpAddr::V4(_) | IpAddr::V6(_) => ip,
    }
}

/// An address in any spelling that `getaddrinfo` takes for one.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(ip.to_canonical()),
        Err(_) => numbers(bare),
    }
}

/// `inet_aton`: one to four numbers, decimal, octal or hexadecimal; the last fills what is left.
fn numbers(text: &str) -> Option<IpAddr> {
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 {
        return None;
    }
    let mut bits: u32 = 0;
    for (at, part) in first.iter().enumerate() {
        let byte = u8::try_from(*part).ok()?;
        bits |= u32::from(byte) << (24 - 8 * at);
    }
    let room = 8 * (4 - first.len());
    let fits = u64::from(*last) < 1u64 << room;
    fits.then(|| IpAddr::from((bits | last).to_be_bytes()))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    // `from_str_radix` takes a sign; a resolver does not.
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    plain.then(|| u32::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(text: &str) -> Option<String> {
        match Destination::host(text, 80) {
            Ok(Destination::Host { host, .. }) => Some(host),
            Ok(Destination::Socket(_)) | Err(_) => None,
        }
    }

    #[test]
    fn all_that_is_this_machine_is_loopback() {
        for text in [
            "127.0.0.1",
            "127.1",
            "127.9.9.9",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "0",
            "0.0.0.0",
            "::",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "localhost",
            "LOCALHOST.",
            "127.0.0.1.",
            "１２７.0.0.1",
            "ｌocalhost",
            "0:0:0:0:0:0:0:1",
        ] {
            let to = Destination::host(text, 80).unwrap();
            assert!(to.is_loopback(), "{text}: {to:?}");
        }
        for text in [
            "128.0.0.1",
            "10.1",
            "::2",
            "localhost.evil.test",
            "127.0.0.1.test",
            "fe80::1",
        ] {
            let to = Destination::host(text, 80).unwrap();
            assert!(!to.is_loopback(), "{text}: {to:?}");
        }
    }

    #[test]
    fn one_place_has_one_spelling() {
        assert_eq!(host("10.1"), Some("10.0.0.1".to_owned()));
        assert_eq!(host("0xa9fea9fe"), Some("169.254.169.254".to_owned()));
        assert_eq!(host("::ffff:10.0.0.1"), Some("10.0.0.1".to_owned()));
        assert_eq!(host("DB2.Example.com."), Some("db2.example.com".to_owned()));
        // More than an address holds is a name, as a resolver has it.
        assert_eq!(host("1.2.3.4.5"), Some("1.2.3.4.5".to_owned()));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [
            "",
            " ",
            "a b",
            "a\nb",
            "\x1b[31m",
            "fe80::1%eth0",
            "::1%1",
            "-oProxy",
            "a/b",
            "..",
            "*",
            &"x".repeat(4096),
        ] {
            assert_eq!(
                Destination::host(bad, 80),
                Err(BadDestination::Host),
                "{bad}"
            );
        }
        for bad in [0, 65536, u32::MAX] {
            assert_eq!(Destination::host("a", bad), Err(BadDestination::Port));
        }
        assert_eq!(Destination::listener("", 65536), Err(BadDestination::Port));
        for bad in [
            "",
            "a.sock",
            "/a/../b",
            "/a//b",
            "/a/./b",
            "/a/",
            "/",
            "/a\n",
            "/a\0b",
            &format!("/{}", "x".repeat(PATH_BYTES_MAX)),
        ] {
            assert_eq!(Destination::socket(bad), Err(BadDestination::Path), "{bad}");
        }
        assert!(Destination::socket("/run/postgresql/.s.PGSQL.5432").is_ok());
    }

    #[test]
    fn a_listener_on_all_addresses_has_one_name() {
        for text in ["", "*", "0.0.0.0", "::", "0"] {
            let everywhere = Destination::Host {
                host: "*".to_owned(),
                port: 0,
            };
            assert_eq!(Destination::listener(text, 0), Ok(everywhere), "{text}");
        }
        assert!(Destination::listener("localhost", 1).unwrap().is_loopback());
        assert!(!Destination::listener("10.0.0.1", 1).unwrap().is_loopback());
    }

    proptest! {
        /// What is sent is what was decided on: the canonical form is its own canonical form.
        #[test]
        fn canonical_is_canonical(text in "[0-9a-fx.:\\[\\]%１ßA-Z-]{0,16}", port: u32) {
            if let Ok(Destination::Host { host, port }) = Destination::host(&text, port) {
                let again = Destination::host(&host, port.into());
                prop_assert_eq!(again, Ok(Destination::Host { host, port }));
            }
        }

        #[test]
        fn any_spelling_of_an_address_is_that_address(ip: u32) {
            let [a, b, c, d] = ip.to_be_bytes();
            let plain = IpAddr::from([a, b, c, d]);
            let rest = u32::from_be_bytes([0, b, c, d]);
            for text in [
                format!("{ip}"), format!("{ip:#x}"), format!("0{ip:o}"), format!("{a}.{rest}"),
                format!("{a:#x}.0{b:o}.{}", u32::from(c) << 8 | u32::from(d)), format!("::ffff:{plain}"),
            ] {
                let expected = connected(plain).to_string();
                prop_assert_eq!(host(&text), Some(expected), "{}", text);
            }
        }
    }
}
