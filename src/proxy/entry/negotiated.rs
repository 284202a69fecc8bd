//! The algorithms of a connection, overheard: russh tells its server side nothing about them, but
//! both offers go by in the clear (RFC 4253 §7.1), and the rule that chooses is simple.

use crate::event::Negotiated;
use russh::keys::ssh_key::encoding::{Decode, Reader};
use std::sync::{Arc, OnceLock};

/// Identification line and first packet of a side (RFC 4253 §4.2, §6.1); longer ones are not looked at.
const HELLO_BYTES_MAX: usize = 64 * 1024;
const KEXINIT: u8 = 20;
const COOKIE_BYTES: usize = 16;

/// What was heard of a connection.
#[derive(Debug, Default)]
pub(crate) struct Overheard {
    pub(crate) agreed: OnceLock<Negotiated>,
    /// The user side's identification line (RFC 4253 §4.2), there before anything is asked of us.
    pub(crate) client: OnceLock<Vec<u8>>,
}

/// Fed with what each side sends until both offers were heard.
pub(crate) struct Overhearing {
    user: Hello,
    bastion: Hello,
    heard: Arc<Overheard>,
}

impl Overhearing {
    pub(crate) fn new(heard: Arc<Overheard>) -> Self {
        Self {
            user: Hello::default(),
            bastion: Hello::default(),
            heard,
        }
    }

    /// False when there is nothing more to hear.
    pub(crate) fn user_says(&mut self, bytes: &[u8]) -> bool {
        self.user.feed(bytes);
        self.goes_on()
    }

    /// False when there is nothing more to hear.
    pub(crate) fn bastion_says(&mut self, bytes: &[u8]) -> bool {
        self.bastion.feed(bytes);
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        match (&self.user, &self.bastion) {
            (Hello::Unclear, _) | (_, Hello::Unclear) => false,
            (Hello::Heard(user), Hello::Heard(bastion)) => {
                self.heard.agreed.get_or_init(|| user.agree(bastion));
                self.heard.client.get_or_init(|| user.line.clone());
                false
            }
            (Hello::Hearing(_), _) | (_, Hello::Hearing(_)) => true,
        }
    }
}

enum Hello {
    Hearing(Vec<u8>),
    Heard(Box<Offer>),
    /// No SSH, or none that we read.
    Unclear,
}

impl Default for Hello {
    fn default() -> Self {
        Self::Hearing(Vec::new())
    }
}

impl Hello {
    fn feed(&mut self, bytes: &[u8]) {
        let Self::Hearing(said) = self else {
            return;
        };
        let room = HELLO_BYTES_MAX.saturating_sub(said.len());
        said.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if let Some(packet) = first_packet(said) {
            let line = said.split(|byte| *byte == b'\n').next();
            let line = line.unwrap_or_default().to_vec();
            *self = Offer::parse(line, packet)
                .map_or(Self::Unclear, |offer| Self::Heard(Box::new(offer)));
        } else if bytes.len() >= room {
            *self = Self::Unclear;
        }
    }
}

/// The payload (with its padding) of the packet after the identification line, once it is whole.
fn first_packet(said: &[u8]) -> Option<&[u8]> {
    let line = said.iter().position(|byte| *byte == b'\n')?;
    let packet = said.get(line + 1..)?;
    let (length, rest) = packet.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.get(..length)?.get(1..)
}

/// The identification line, and the name lists of SSH_MSG_KEXINIT that decide; c2s is what the user sends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    line: Vec<u8>,
    kex: Vec<String>,
    host_key: Vec<String>,
    cipher_c2s: Vec<String>,
    cipher_s2c: Vec<String>,
    mac_c2s: Vec<String>,
    mac_s2c: Vec<String>,
}

impl Offer {
    fn parse(line: Vec<u8>, payload: &[u8]) -> Option<Self> {
        let (kind, mut rest) = payload.split_first()?;
        if *kind != KEXINIT {
            return None;
        }
        rest = rest.get(COOKIE_BYTES..)?;
        Some(Self {
            line,
            kex: names(&mut rest)?,
            host_key: names(&mut rest)?,
            cipher_c2s: names(&mut rest)?,
            cipher_s2c: names(&mut rest)?,
            mac_c2s: names(&mut rest)?,
            mac_s2c: names(&mut rest)?,
        })
    }

    /// RFC 4253 §7.1: the first of the client's that the server has too.
    fn agree(&self, server: &Self) -> Negotiated {
        let cipher = both(
            first(&self.cipher_c2s, &server.cipher_c2s),
            first(&self.cipher_s2c, &server.cipher_s2c),
        );
        let sealed = ["gcm@openssh.com", "chacha20-poly1305@openssh.com"];
        let mac = if sealed.iter().any(|end| cipher.ends_with(end)) {
            "implicit".to_owned()
        } else {
            both(
                first(&self.mac_c2s, &server.mac_c2s),
                first(&self.mac_s2c, &server.mac_s2c),
            )
        };
        Negotiated {
            kex: first(&self.kex, &server.kex).to_owned(),
            cipher,
            mac,
            host_key: first(&self.host_key, &server.host_key).to_owned(),
        }
    }
}

fn names(rest: &mut impl Reader) -> Option<Vec<String>> {
    let list = String::decode(rest).ok()?;
    Some(list.split(',').map(str::to_owned).collect())
}

fn first<'a>(client: &'a [String], server: &[String]) -> &'a str {
    let found = client.iter().find(|name| server.contains(name));
    found.map_or("", String::as_str)
}

/// One name where both directions have the same, else what the user sends with, then the bastion.
fn both(c2s: &str, s2c: &str) -> String {
    if c2s == s2c {
        return c2s.to_owned();
    }
    format!("{c2s},{s2c}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(lists: [&str; 6]) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([7; COOKIE_BYTES]);
        for list in lists {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 30]);
        let mut said = b"SSH-2.0-x\r\n".to_vec();
        said.extend(u32::try_from(payload.len() + 1).unwrap().to_be_bytes());
        said.push(4);
        said.extend(payload);
        said
    }

    fn overheard(user: &[u8], bastion: &[u8], cut: usize) -> Option<Negotiated> {
        let heard: Arc<Overheard> = Arc::default();
        let mut hearing = Overhearing::new(Arc::clone(&heard));
        for piece in bastion.chunks(cut) {
            hearing.bastion_says(piece);
        }
        for piece in user.chunks(cut) {
            hearing.user_says(piece);
        }
        let client = heard.client.get().map(Vec::as_slice);
        assert!(client.is_none_or(|line| line == b"SSH-2.0-x\r"));
        heard.agreed.get().cloned()
    }

    #[test]
    fn the_clients_first_that_both_have_is_it_however_it_is_cut() {
        let user = hello(["k0,k1,k2", "h1,h0", "c1,c2", "c2,c1", "m1", "m1,m2"]);
        let bastion = hello(["k2,k1", "h0", "c2,c1", "c1,c2", "m2,m1", "m2"]);
        for cut in [1, 3, 50, 1000] {
            let found = overheard(&user, &bastion, cut).unwrap();
            assert_eq!(
                found,
                Negotiated {
                    kex: "k1".to_owned(),
                    cipher: "c1,c2".to_owned(),
                    mac: "m1,m2".to_owned(),
                    host_key: "h0".to_owned(),
                }
            );
        }
        let sealed = hello([
            "k",
            "h",
            "aes128-gcm@openssh.com",
            "aes128-gcm@openssh.com",
            "m",
            "m",
        ]);
        assert_eq!(overheard(&sealed, &sealed, 9).unwrap().mac, "implicit");
    }

    #[test]
    fn what_is_no_ssh_is_not_kept() {
        let mut hearing = Overhearing::new(Arc::default());
        assert!(!hearing.user_says(&[b'A'; HELLO_BYTES_MAX]));
        assert!(matches!(hearing.user, Hello::Unclear));
        assert!(overheard(b"SSH-2.0-x\r\n\0\0\0\x02\0\x05", &hello(["k"; 6]), 5).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(pieces: Vec<Vec<u8>>) {
            let mut hearing = Overhearing::new(Arc::default());
            hearing.user_says(b"SSH-2.0-x\r\n");
            for piece in pieces {
                hearing.user_says(&piece);
            }
        }
    }
}
