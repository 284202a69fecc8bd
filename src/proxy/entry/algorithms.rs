//! russh's settings for both sides: what was measured to work, and nothing weak.

use crate::proxy::config::Config;
use crate::proxy::pumps::flow::WINDOW_BIG;
use russh::keys::ssh_key::{Algorithm, Certificate, EcdsaCurve, HashAlg, PrivateKey};
use russh::{
    Limits, MethodKind, MethodSet, Preferred, SshId, cipher, client, compression, kex, mac, server,
};
use std::borrow::Cow;
use std::time::Duration;

/// RFC 4253 §6.1.
const PACKET_BYTES: u32 = 32 * 1024;
/// RFC 4253 §9 asks for a new key after each gigabyte or hour.
const REKEY_BYTES: usize = 1024 * 1024 * 1024;
const REKEY_TIME: Duration = Duration::from_secs(3600);
/// Messages from our tasks that wait for a connection; 64 was no better.
const EVENTS: usize = 10;
/// Without the names of the extensions strict key exchange and ext-info are lost.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
];
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];
const COMPRESSION: &[compression::Name] = &[compression::NONE];
/// RSA with SHA-2 only (RFC 8332).
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::SkEd25519,
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(KEYS),
        host_key_certificates: Cow::Borrowed(KEYS),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSION),
    }
}

fn limits() -> Limits {
    Limits {
        rekey_write_limit: REKEY_BYTES,
        rekey_read_limit: REKEY_BYTES,
        rekey_time_limit: REKEY_TIME,
    }
}

fn software() -> SshId {
    SshId::Standard(Cow::Borrowed("SSH-2.0-Portcullis"))
}

/// The user side. `certificates` is empty at the door and has one inside a jump.
pub(crate) fn server_config(
    keys: Vec<PrivateKey>,
    certificates: Vec<Certificate>,
    window_size: u32,
    config: &Config,
) -> server::Config {
    server::Config {
        server_id: software(),
        // Keyboard-interactive lets nobody in: it carries the sentence that says why.
        methods: MethodSet::from(
            [MethodKind::PublicKey, MethodKind::KeyboardInteractive].as_slice(),
        ),
        // A certificate cannot be guessed; waiting only slows people with several keys.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys,
        certificates,
        limits: limits(),
        // russh ends a connection on twice this in flight during a rekey of its own, so it is also the
        // most that flow.rs gives later.
        window_size,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: 16,
        event_buffer_size: EVENTS,
        preferred: preferred(),
        // The first `none` that every client sends counts as one.
        max_auth_attempts: config.limits.attempts + 1,
        inactivity_timeout: None,
        keepalive_interval: Some(config.session.keepalive),
        keepalive_max: 3,
        nodelay: true,
    }
}

/// The target side. Keepalives are sent and never counted: answers wait behind unread data.
pub(crate) fn client_config(config: &Config) -> client::Config {
    client::Config {
        client_id: software(),
        limits: limits(),
        window_size: WINDOW_BIG,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: 64,
        preferred: preferred(),
        inactivity_timeout: None,
        keepalive_interval: Some(config.session.keepalive),
        keepalive_max: 0,
        nodelay: true,
        ..client::Config::default()
    }
}
