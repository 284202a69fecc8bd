//! Who signed what for whom, and for how long. Each refusal before its acceptance.

use crate::keygen::{HERE, NOW, Shop, at, check, load, public, refused, span, trust};
use portcullis::id::Login;
use portcullis::identity::{self, PrincipalsMode, Refusal};
use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::public::{
    EcdsaPublicKey, Ed25519PublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519,
};
use russh::keys::ssh_key::{Certificate, PublicKey};
use std::path::Path;
use std::time::Duration;

fn login(name: &str) -> Login {
    name.parse().unwrap()
}

#[test]
fn only_the_trusted_ca_itself_speaks() {
    let shop = Shop::new();
    let (ca, rogue, user) = (
        shop.ed25519("ca"),
        shop.ed25519("rogue"),
        shop.ed25519("user"),
    );
    assert_eq!(
        refused(&shop.usual(&rogue, &user, &[]), &trust(&ca)),
        "unknown_ca"
    );
    assert_eq!(
        refused(&shop.usual(&ca, &user, &[]), &Default::default()),
        "unknown_ca"
    );

    // A byte changed by somebody on the way.
    let honest = shop.usual(&ca, &user, &[]);
    let bytes = honest.to_bytes().unwrap();
    let at_key_id = bytes
        .windows(7)
        .position(|w| w == b"\0\0\0\x03ana")
        .unwrap()
        + 4;
    let mut forged = bytes.clone();
    forged[at_key_id] = b'e';
    let forged = Certificate::from_bytes(&forged).unwrap();
    assert_eq!(forged.key_id(), "ena");
    assert_eq!(refused(&forged, &trust(&ca)), "bad_signature");

    let identity = check(&honest, &trust(&ca)).unwrap();
    assert_eq!(identity.subject().as_str(), "ana");
    assert_eq!(identity.facts().serial, 7);
    assert_eq!(identity.facts().key_id, "ana");
    assert_eq!(identity.valid_before(), at(NOW + 3_600));
    assert!(identity.may_log_in_as(&login("root")) && !identity.may_log_in_as(&login("toor")));
}

#[test]
fn a_host_certificate_is_no_person() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    assert_eq!(
        refused(&shop.usual(&ca, &user, &["-h"]), &trust(&ca)),
        "not_user"
    );
}

#[test]
fn every_kind_of_key_and_of_ca() {
    let shop = Shop::new();
    let kinds: [(&str, &[&str]); 5] = [
        ("ed25519", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("rsa2048", &["-t", "rsa", "-b", "2048"]),
        ("rsa3072", &["-t", "rsa", "-b", "3072"]),
    ];
    let keys = kinds.map(|(name, kind)| (name, shop.key(name, kind)));
    let weak = shop.key("rsa1024", &["-t", "rsa", "-b", "1024"]);
    let ca = &keys[0].1;
    assert_eq!(refused(&shop.usual(ca, &weak, &[]), &trust(ca)), "weak_key");
    assert_eq!(
        refused(&shop.usual(&weak, ca, &[]), &trust(&weak)),
        "weak_key"
    );

    for (ca_name, ca) in &keys {
        let signatures: &[&[&str]] = if ca_name.starts_with("rsa") {
            let sha1 = shop.usual(ca, &keys[0].1, &["-t", "ssh-rsa"]);
            assert_eq!(sha1.signature().algorithm().as_str(), "ssh-rsa");
            assert_eq!(refused(&sha1, &trust(ca)), "weak_signature");
            &[&["-t", "rsa-sha2-256"], &["-t", "rsa-sha2-512"]]
        } else {
            &[&[]]
        };
        for signature in signatures {
            for (user_name, user) in &keys {
                let certificate = shop.usual(ca, user, signature);
                let identity = check(&certificate, &trust(ca));
                assert!(
                    identity.is_ok(),
                    "{user_name} by {ca_name} {signature:?}: {identity:?}"
                );
            }
        }
    }
}

#[test]
fn security_keys_are_certified_like_others() {
    let shop = Shop::new();
    let ca = shop.ed25519("ca");
    let plain = public(&ca).key_data().ed25519().copied().unwrap();
    let p256 = public(&shop.key("p256", &["-t", "ecdsa", "-b", "256"]));
    let Some(EcdsaPublicKey::NistP256(point)) = p256.key_data().ecdsa() else {
        panic!("{p256:?}");
    };
    for key in [
        KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(plain.0), "ssh:")),
        KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(*point, "ssh:")),
    ] {
        let name = format!("sk-{}", key.algorithm().as_str().len());
        let text = PublicKey::new(key.clone(), "sk").to_openssh().unwrap();
        std::fs::write(shop.path(&format!("{name}.pub")), format!("{text}\n")).unwrap();
        let sk = shop.path(&name);

        let demanding = shop.usual(&ca, &sk, &["-O", "verify-required"]);
        assert_eq!(refused(&demanding, &trust(&ca)), "verify_required");
        let certificate = shop.usual(&ca, &sk, &["-O", "no-touch-required"]);
        assert_eq!(certificate.public_key(), &key);
        check(&certificate, &trust(&ca)).unwrap();
    }
}

#[test]
fn times_are_half_open_and_bounded() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let made = |from, to| shop.usual(&ca, &user, &["-V", &span(from, to)]);
    let trust = trust(&ca);

    assert_eq!(refused(&made(NOW - 60, NOW), &trust), "expired");
    assert_eq!(refused(&made(NOW + 1, NOW + 60), &trust), "not_yet_valid");
    let too_long = made(NOW, NOW + 8 * 3_600 + 301);
    assert_eq!(refused(&too_long, &trust), "lifetime");
    assert_eq!(
        refused(&shop.usual(&ca, &user, &["-V", "always:forever"]), &trust),
        "lifetime"
    );

    check(&made(NOW, NOW + 1), &trust).unwrap();
    check(&made(NOW - 60, NOW + 8 * 3_600 + 300), &trust).unwrap();

    // While in use only the end counts.
    let identity = check(&made(NOW - 60, NOW + 60), &trust).unwrap();
    let short = identity::Trust {
        max_lifetime: Duration::ZERO,
        ..trust.clone()
    };
    assert_eq!(
        identity::recheck(&identity, &trust, at(NOW + 60)),
        Err(Refusal::Expired)
    );
    assert_eq!(identity::recheck(&identity, &short, at(NOW + 59)), Ok(()));

    let mut generous = trust;
    generous.max_lifetime = Duration::MAX;
    let forever = shop.usual(&ca, &user, &["-V", "always:forever"]);
    let identity = check(&forever, &generous).unwrap();
    assert_eq!(
        identity.facts().not_after.to_rfc3339(),
        "9999-12-31T23:59:59+00:00"
    );
}

#[test]
fn principals_in_both_modes() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let by_login = trust(&ca);
    let mut by_identity = trust(&ca);
    by_identity.principals = PrincipalsMode::Identity;

    let open = span(NOW - 60, NOW + 60);
    let nobody = load(&shop.certificate(&ca, &user, &["-I", "ana", "-V", &open]));
    assert_eq!(refused(&nobody, &by_login), "no_principal");
    assert_eq!(refused(&nobody, &by_identity), "no_principal");
    let many: Vec<_> = (0..257).map(|n| format!("p{n}")).collect();
    // ssh-keygen stops at 256, so the one too many is of the library.
    assert_eq!(
        refused(&with_principals(&ca, &many), &by_login),
        "too_many_principals"
    );
    check(&with_principals(&ca, &many[..256]), &by_login).unwrap();

    let root_only = shop.usual(&ca, &user, &["-n", "root,postgres"]);
    assert_eq!(refused(&root_only, &by_identity), "identity_not_principal");
    let identity = check(&root_only, &by_login).unwrap();
    assert!(identity.may_log_in_as(&login("postgres")));
    for other in ["ana", "roo", "rootx", "ROOT", "*"] {
        assert!(!identity.may_log_in_as(&login(other)), "{other}");
    }
    // A pattern in a certificate is a name, not a pattern.
    let star = check(&shop.usual(&ca, &user, &["-n", "*"]), &by_login).unwrap();
    assert!(!star.may_log_in_as(&login("root")));

    let ana = check(&shop.usual(&ca, &user, &["-n", "ana"]), &by_identity).unwrap();
    assert!(ana.may_log_in_as(&login("root")));
}

fn with_principals(ca: &Path, names: &[String]) -> Certificate {
    let signer = portcullis::ca::load_private(ca).unwrap();
    let key = signer.public_key().key_data().clone();
    let mut builder = Builder::new([7; 32], key, NOW - 60, NOW + 60).unwrap();
    builder.key_id("ana").unwrap();
    for name in names {
        builder.valid_principal(name).unwrap();
    }
    builder.sign(&signer).unwrap()
}

#[test]
fn a_ca_speaks_only_for_those_it_may() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let mut narrow = trust(&ca);
    narrow.authorities[0].identities = vec!["ci-*".to_owned()];
    narrow.authorities[0].principals = vec!["deploy".to_owned(), "app-?".to_owned()];

    assert_eq!(
        refused(&shop.usual(&ca, &user, &[]), &narrow),
        "identity_outside"
    );
    let named = |names| shop.usual(&ca, &user, &["-I", "ci-7", "-n", names]);
    assert_eq!(refused(&named("deploy,root"), &narrow), "principal_outside");
    assert_eq!(refused(&named("root"), &narrow), "principal_outside");
    let identity = check(&named("deploy,app-1"), &narrow).unwrap();

    let mut nobody = narrow.clone();
    nobody.authorities[0].identities.clear();
    assert_eq!(refused(&named("deploy"), &nobody), "identity_outside");
    let later = |trust: &identity::Trust| {
        identity::recheck(&identity, trust, at(NOW)).map_err(|r| r.code())
    };
    assert_eq!(later(&nobody), Err("identity_outside"));
    assert_eq!(later(&Default::default()), Err("unknown_ca"));
    assert_eq!(later(&narrow), Ok(()));
}

#[test]
fn a_key_id_that_is_no_identity_is_refused_and_still_told() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    for bad in ["ana banana", "ana;id", "\u{1b}[31m", "é", &"a".repeat(129)] {
        let certificate = shop.usual(&ca, &user, &["-I", bad]);
        assert_eq!(refused(&certificate, &trust(&ca)), "bad_key_id", "{bad}");
        assert_eq!(identity::facts_of(&certificate).key_id, bad);
        let message = check(&certificate, &trust(&ca)).unwrap_err().to_string();
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
    check(
        &shop.usual(&ca, &user, &["-I", "Ana.B+c/d_e-f@example.com"]),
        &trust(&ca),
    )
    .unwrap();
}

#[test]
fn the_source_of_the_connection_does_not_matter_unless_it_is_said() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let certificate = shop.usual(&ca, &user, &[]);
    for source in [HERE, "::1", "2001:db8::1"] {
        identity::check(&certificate, &trust(&ca), source.parse().unwrap(), at(NOW)).unwrap();
    }
}
