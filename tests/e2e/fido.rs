//! Security keys: the hardware is a signer made here, behind an ssh-agent made here; the rest is real.

use crate::world::{User, World, event};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use russh::keys::ssh_key::public::{
    EcdsaPublicKey, Ed25519PublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519,
};
use russh::keys::ssh_key::{Certificate, PublicKey};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const APPLICATION: &str = "ssh:";
/// PROTOCOL.u2f: a person was there.
const TOUCHED: u8 = 1;
/// draft-miller-ssh-agent §5.1.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

enum Token {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Token {
    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    fn p256() -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
    }

    fn public(&self) -> PublicKey {
        let data = match self {
            Self::Ed25519(pair) => {
                let key = Ed25519PublicKey(pair.public_key().as_ref().try_into().unwrap());
                KeyData::SkEd25519(SkEd25519::new(key, APPLICATION))
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let key = EcdsaPublicKey::from_sec1_bytes(point).unwrap();
                let EcdsaPublicKey::NistP256(point) = key else {
                    panic!("another curve");
                };
                KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(point, APPLICATION))
            }
        };
        PublicKey::new(data, "token")
    }

    /// PROTOCOL.u2f "SSH U2F Signatures".
    fn sign(&self, message: &[u8], counter: u32) -> Vec<u8> {
        let mut signed = digest(&SHA256, APPLICATION.as_bytes()).as_ref().to_vec();
        signed.push(TOUCHED);
        signed.extend(counter.to_be_bytes());
        signed.extend(digest(&SHA256, message).as_ref());
        let (name, signature) = match self {
            Self::Ed25519(pair) => {
                let signature = pair.sign(&signed).as_ref().to_vec();
                ("sk-ssh-ed25519@openssh.com", signature)
            }
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
                let (r, s) = signature.as_ref().split_at(32);
                let signature = [mpint(r), mpint(s)].concat();
                ("sk-ecdsa-sha2-nistp256@openssh.com", signature)
            }
        };
        let mut blob = [string(name.as_bytes()), string(&signature)].concat();
        blob.push(TOUCHED);
        blob.extend(counter.to_be_bytes());
        blob
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// RFC 4251 §5, of a number that is not negative.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let mut number = bytes[start..].to_vec();
    if number[0] >= 0x80 {
        number.insert(0, 0);
    }
    string(&number)
}

/// Ends with its socket: whoever asks then is refused.
fn serve(socket: &Path, token: Token, certificate: &Certificate) {
    let listener = UnixListener::bind(socket).unwrap();
    let blob = certificate.to_bytes().unwrap();
    std::thread::spawn(move || {
        for (n, asked) in (1_u32..).zip(listener.incoming()) {
            if asked
                .and_then(|stream| answer(stream, &token, &blob, n))
                .is_err()
            {
                return;
            }
        }
    });
}

fn answer(mut stream: UnixStream, token: &Token, blob: &[u8], n: u32) -> std::io::Result<()> {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut request)?;
        let answer = match request[0] {
            REQUEST_IDENTITIES => {
                let one = 1_u32.to_be_bytes();
                let key = [string(blob), string(b"token")].concat();
                [&[IDENTITIES_ANSWER][..], &one, &key].concat()
            }
            SIGN_REQUEST => {
                let (_, rest) = taken(&request[1..]);
                let (message, _) = taken(rest);
                let signature = string(&token.sign(message, n));
                [&[SIGN_RESPONSE][..], &signature].concat()
            }
            // SSH_AGENT_FAILURE: no extensions here.
            _ => vec![5],
        };
        stream.write_all(&string(&answer))?;
    }
    Ok(())
}

fn taken(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap());
    rest.split_at(usize::try_from(length).unwrap())
}

#[test]
fn security_keys_come_in_and_their_touch_is_said_to_be_unknown() {
    let world = World::new()
        .user(User::named("ben").without_certificate())
        .start();
    for (name, token) in [("ed25519", Token::ed25519()), ("p256", Token::p256())] {
        let public = world.path(&format!("{name}.pub"));
        let line = token.public().to_openssh().unwrap();
        std::fs::write(&public, format!("{line}\n")).unwrap();
        let ca = world.text_path("bastion/keys/user_ca");
        let reason = "extension:reason@portcullis=x";
        let path = public.to_str().unwrap();
        let words = [
            "-I",
            "ben",
            "-n",
            &world.login,
            "-V",
            "-1m:+1h",
            "-O",
            reason,
            path,
        ];
        world.keygen(&[&["-q", "-s", &ca][..], &words].concat());
        let signed: PathBuf = world.path(&format!("{name}-cert.pub"));
        let text = std::fs::read_to_string(signed).unwrap();
        let certificate = Certificate::from_openssh(text.trim()).unwrap();
        let socket = world.path(&format!("{name}.sock"));
        serve(&socket, token, &certificate);
        let agent = format!("IdentityAgent={}", socket.display());
        let login = format!("{}@db1", world.login);
        let words = [
            "-o",
            &agent,
            "-o",
            "IdentitiesOnly=no",
            "-l",
            &login,
            "bastion",
            "echo in",
        ];
        assert_eq!(world.ssh("ben", &words).ok().out(), "in\n", "{name}");
    }
    for session in world.ended_sessions(2) {
        let events = world.events(session["id"].as_str().unwrap());
        let start = event(&events, "session.start");
        assert_eq!(start["who"]["subject"], "ben");
        assert_eq!(start["who"]["mfa"], "unknown");
    }
}
