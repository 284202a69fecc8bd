//! Critical options, `permit-` extensions, and what a CA says of a person.

use crate::keygen::{HERE, NOW, Shop, at, check, load, refused, span, trust};
use portcullis::event::WhySource;
use portcullis::identity::{self, Restrictions};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

#[test]
fn an_option_that_is_not_understood_refuses() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let with = |option: &str| shop.usual(&ca, &user, &["-O", option]);
    for (option, code) in [
        ("critical:no-such-option", "unknown_option"),
        ("critical:no-such-option=x", "unknown_option"),
        ("critical:permit-pty", "unknown_option"),
        ("critical:Force-Command=x", "unknown_option"),
        ("critical:ticket@portcullis=INC-1", "unknown_option"),
        ("verify-required", "verify_required"),
        ("critical:force-command", "bad_option"),
        ("critical:source-address", "bad_option"),
        ("critical:source-address=everywhere", "bad_option"),
        ("critical:source-address=192.0.2.7,everywhere", "bad_option"),
        ("critical:source-address=192.0.2.7/24", "bad_option"),
    ] {
        assert_eq!(refused(&with(option), &trust(&ca)), code, "{option}");
    }
    let long = format!("force-command={}", "x".repeat(8 * 1024 + 1));
    assert_eq!(refused(&with(&long), &trust(&ca)), "bad_option");

    let forced = check(&with("force-command=/bin/echo hi"), &trust(&ca)).unwrap();
    assert_eq!(
        forced.restrictions().force_command.as_deref(),
        Some("/bin/echo hi")
    );
}

#[test]
fn source_addresses_of_both_families() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let list = "source-address=192.0.2.0/24,2001:db8::/32,198.51.100.9";
    let certificate = shop.usual(&ca, &user, &["-O", list]);
    let from = |source: &str| {
        identity::check(&certificate, &trust(&ca), source.parse().unwrap(), at(NOW))
            .map(|_| ())
            .map_err(|refusal| refusal.code())
    };
    for source in [
        "192.0.3.1",
        "2001:db9::1",
        "198.51.100.8",
        "::1",
        "::ffff:192.0.3.1",
    ] {
        assert_eq!(from(source), Err("wrong_source"), "{source}");
    }
    for source in [HERE, "2001:db8::1", "198.51.100.9", "::ffff:192.0.2.7"] {
        assert_eq!(from(source), Ok(()), "{source}");
    }
}

type Given = fn(&Restrictions) -> bool;

#[test]
fn extensions_give_and_nothing_else_does() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let of = |args: &[&str]| {
        let certificate = shop.usual(&ca, &user, args);
        check(&certificate, &trust(&ca))
            .unwrap()
            .restrictions()
            .clone()
    };
    assert_eq!(of(&["-O", "clear"]), Restrictions::nothing_extra());
    assert_eq!(
        of(&["-O", "clear", "-O", "extension:permit-everything"]),
        Restrictions::nothing_extra()
    );
    let cases: [(&str, Given); 5] = [
        ("permit-pty", |r| r.pty),
        ("permit-port-forwarding", |r| r.port_forwarding),
        ("permit-agent-forwarding", |r| r.agent_forwarding),
        ("permit-X11-forwarding", |r| r.x11_forwarding),
        ("permit-user-rc", |r| r.user_rc),
    ];
    for (name, given) in cases {
        let one = of(&["-O", "clear", "-O", name]);
        let count = cases.iter().filter(|(_, given)| given(&one)).count();
        assert!(given(&one) && count == 1, "{name}: {one:?}");
        let extra = format!("extension:{name}=yes");
        let certificate = shop.usual(&ca, &user, &["-O", "clear", "-O", &extra]);
        assert_eq!(
            refused(&certificate, &trust(&ca)),
            "bad_extension",
            "{name}"
        );
    }
    assert_eq!(of(&[]), Restrictions::none());
}

#[test]
fn statements_are_believed_only_of_those_who_are_believed() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let certificate = shop.usual(
        &ca,
        &user,
        &[
            "-O",
            "extension:groups@portcullis=dba, admins",
            "-O",
            "extension:reason@portcullis=disk full, see INC-42",
            "-O",
            "extension:ticket@portcullis=INC-42",
            "-O",
            "extension:grant@portcullis=17",
            "-O",
            "extension:approvers@portcullis=ben=2027-01-15T07:00:00Z,eva",
            "-O",
            "extension:mood@portcullis=fine",
            "-O",
            "extension:login@github.com=ana",
        ],
    );
    let mut trust = trust(&ca);
    trust
        .groups
        .insert("ana".to_owned(), vec!["dba".to_owned(), "ops".to_owned()]);
    trust
        .groups
        .insert("eva".to_owned(), vec!["admins".to_owned()]);

    let doubted = check(&certificate, &trust).unwrap();
    assert_eq!(doubted.groups(), ["dba", "ops"]);
    let why = doubted.why();
    assert_eq!(why.justification.as_deref(), Some("disk full, see INC-42"));
    assert_eq!(why.ticket.as_ref().unwrap().as_str(), "INC-42");
    assert_eq!(why.source, Some(WhySource::Certificate));
    assert!(why.grant.is_none() && why.approvers.is_empty());
    let claimed: Vec<_> = why
        .claimed
        .as_ref()
        .unwrap()
        .0
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "approvers@portcullis",
        "grant@portcullis",
        "groups@portcullis",
        "mood@portcullis",
    ];
    assert_eq!(claimed, expected);

    trust.authorities[0].believe = ["groups", "grant", "approvers"].map(str::to_owned).into();
    let believed = check(&certificate, &trust).unwrap();
    assert_eq!(believed.groups(), ["dba", "admins", "ops"]);
    assert_eq!(believed.why().grant.as_deref(), Some("17"));
    let approvers = &believed.why().approvers;
    assert_eq!(
        (approvers[0].subject.as_str(), approvers[0].at.is_some()),
        ("ben", true)
    );
    assert_eq!(
        (approvers[1].subject.as_str(), approvers[1].at.is_some()),
        ("eva", false)
    );

    let silent = check(&shop.usual(&ca, &user, &[]), &trust).unwrap();
    assert_eq!(silent.why(), &portcullis::event::Why::default());
}

#[test]
fn a_statement_that_cannot_be_read_is_refused() {
    let shop = Shop::new();
    let (ca, user) = (shop.ed25519("ca"), shop.ed25519("user"));
    let mut trust = trust(&ca);
    trust.authorities[0].believe = ["groups", "grant", "approvers"].map(str::to_owned).into();
    let long = format!("extension:reason@portcullis={}", "x".repeat(4 * 1024 + 1));
    for bad in [
        "extension:ticket@portcullis=INC 42",
        "extension:ticket@portcullis",
        "extension:grant@portcullis=1;2",
        "extension:approvers@portcullis=ben=soon",
        "extension:groups@portcullis=a\u{7}b",
        &long,
    ] {
        let certificate = shop.usual(&ca, &user, &["-O", bad]);
        assert_eq!(refused(&certificate, &trust), "bad_extension", "{bad}");
    }
    let mut many = Vec::new();
    let names: Vec<_> = (0..17)
        .map(|n| format!("extension:x{n}@portcullis=1"))
        .collect();
    names.iter().for_each(|name| many.extend(["-O", name]));
    assert_eq!(
        refused(&shop.usual(&ca, &user, &many), &trust),
        "bad_extension"
    );

    // Not UTF-8: the library does not even read such a certificate, so nobody gets in with one.
    let span = span(NOW - 60, NOW + 60);
    let mut args: Vec<OsString> = ["-I", "ana", "-n", "root", "-V", &span, "-O"]
        .map(Into::into)
        .into();
    args.push(OsStr::from_bytes(b"extension:reason@portcullis=\xff\xfe").to_owned());
    let path = shop.certificate(&ca, &user, &args);
    assert!(portcullis::ca::load_certificate(&path).is_err());
    args.pop();
    args.push("extension:reason@portcullis=größer".into());
    let honest = check(&load(&shop.certificate(&ca, &user, &args)), &trust).unwrap();
    assert_eq!(honest.why().justification.as_deref(), Some("größer"));
}
