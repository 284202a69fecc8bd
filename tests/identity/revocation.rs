//! `ssh-keygen -k` writes, `ssh-keygen -Q` judges, and we must agree; and the other way round.

use crate::keygen::{NOW, real_now};
use crate::keygen::{Shop, at, check, load, public, public_of, refused, run, succeed, trust};
use portcullis::ca;
use portcullis::identity::{self, KrlFile, Refusal, Revocations, Revoke, krl_write};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use russh::keys::ssh_key::Certificate;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Serials that are near one another, so that ssh-keygen writes lists, ranges and bitmaps, and the
/// edges.
const SERIALS: &[u64] = &[
    0,
    1,
    2,
    3,
    5,
    8,
    13,
    21,
    34,
    55,
    89,
    300,
    4_000_000_000,
    u64::MAX - 1,
    u64::MAX,
];
const KEY_IDS: &[&str] = &["ana", "ben", "eva@example.com"];

struct Stock {
    shop: Shop,
    cas: Vec<PathBuf>,
    users: Vec<PathBuf>,
    certificates: BTreeMap<PathBuf, Certificate>,
}

fn stock() -> Stock {
    let shop = Shop::new();
    let cas = vec![shop.ed25519("ca-0"), shop.key("ca-1", &["-t", "ecdsa"])];
    let users = vec![
        shop.ed25519("user-0"),
        shop.key("user-1", &["-t", "rsa", "-b", "2048"]),
        shop.key("user-2", &["-t", "ecdsa", "-b", "384"]),
    ];
    let mut certificates = BTreeMap::new();
    for (n, serial) in SERIALS.iter().enumerate() {
        let (ca, user) = (&cas[n % 2], &users[n % 3]);
        let args = [
            "-I",
            KEY_IDS[n / 2 % 3],
            "-n",
            "root",
            "-z",
            &serial.to_string(),
        ];
        let path = shop.certificate(ca, user, &args);
        let certificate = load(&path);
        certificates.insert(path, certificate);
    }
    Stock {
        shop,
        cas,
        users,
        certificates,
    }
}

impl Stock {
    /// What ssh-keygen says of each certificate: whether it is revoked.
    fn judged(&self, krl: &Path) -> BTreeMap<&Path, bool> {
        let mut args: Vec<PathBuf> = vec!["-Q".into(), "-f".into(), krl.into()];
        args.extend(self.certificates.keys().cloned());
        let output = run("ssh-keygen", &args);
        let told = String::from_utf8(output.stdout).unwrap();
        let mut verdicts = BTreeMap::new();
        for path in self.certificates.keys() {
            let line = told
                .lines()
                .find(|line| line.starts_with(&*path.to_string_lossy()));
            let line =
                line.unwrap_or_else(|| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)));
            assert!(line.ends_with("REVOKED") || line.ends_with("ok"), "{line}");
            verdicts.insert(path.as_path(), line.ends_with("REVOKED"));
        }
        verdicts
    }

    fn agree(&self, krl: &Path) -> Result<KrlFile, TestCaseError> {
        let file = Revocations::load(&std::fs::read(krl).unwrap(), "revoked.krl")
            .map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        let revocations = Revocations::of(vec![file.clone()]);
        for (path, theirs) in self.judged(krl) {
            let ours = revocations.revoked(&self.certificates[path]);
            prop_assert_eq!(ours.is_some(), theirs, "{}: {:?}", path.display(), ours);
        }
        Ok(file)
    }

    fn public_line(&self, n: usize) -> String {
        let keys: Vec<_> = self.users.iter().chain(&self.cas).collect();
        let text = std::fs::read_to_string(public_of(keys[n % keys.len()])).unwrap();
        text.trim().to_owned()
    }

    /// `ssh-keygen -k`, one step for each CA, the later ones updating.
    fn keygen_krl(&self, name: &str, steps: &[(usize, Vec<Line>)], number: u64) -> PathBuf {
        let krl = self.shop.path(name);
        for (nth, (ca, lines)) in steps.iter().enumerate() {
            let spec = self.shop.path("spec");
            let text: Vec<_> = lines.iter().map(|line| self.written(line)).collect();
            std::fs::write(&spec, text.join("\n") + "\n").unwrap();
            let number = number.to_string();
            let mut args: Vec<PathBuf> =
                ["-q", "-k", "-z", &number, "-f"].map(PathBuf::from).into();
            args.push(krl.clone());
            if nth > 0 {
                args.push("-u".into());
            }
            args.push("-s".into());
            args.push(self.cas.get(*ca).map_or("none".into(), |ca| public_of(ca)));
            args.push(spec);
            succeed("ssh-keygen", &args);
        }
        krl
    }

    fn written(&self, line: &Line) -> String {
        match line {
            Line::Serial(serial) => format!("serial: {serial}"),
            // ssh-keygen refuses a range of one.
            Line::Range(low, high) if low == high => format!("serial: {low}"),
            Line::Range(low, high) => format!("serial: {low}-{high}"),
            Line::KeyId(id) => format!("id: {id}"),
            Line::Key(n) => format!("key: {}", self.public_line(*n)),
            Line::Sha1(n) => format!("sha1: {}", self.public_line(*n)),
            Line::Sha256(n) => format!("sha256: {}", self.public_line(*n)),
        }
    }
}

#[derive(Clone, Debug)]
enum Line {
    Serial(u64),
    Range(u64, u64),
    KeyId(&'static str),
    Key(usize),
    Sha1(usize),
    Sha256(usize),
}

fn serial() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1_u64..100, 1 => proptest::sample::select(&SERIALS[1..]), 1 => 1_u64..]
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        8 => serial().prop_map(Line::Serial),
        3 => (serial(), 0_u64..12).prop_map(|(low, n)| Line::Range(low, low.saturating_add(n))),
        1 => proptest::sample::select(KEY_IDS).prop_map(Line::KeyId),
        1 => (0_usize..5).prop_map(Line::Key),
        1 => (0_usize..5).prop_map(Line::Sha1),
        1 => (0_usize..5).prop_map(Line::Sha256),
    ]
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: 40,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn we_and_ssh_keygen_agree_on_any_list() {
    let stock = stock();
    // CA number 2 stands for "any".
    let step = || (0_usize..3, proptest::collection::vec(line(), 1..14));
    let steps = (proptest::collection::vec(step(), 1..3), any::<u32>());
    runner()
        .run(&steps, |(steps, number)| {
            drop(std::fs::remove_file(stock.shop.path("krl")));
            let krl = stock.keygen_krl("krl", &steps, number.into());
            let file = stock.agree(&krl)?;
            prop_assert_eq!(file.number(), u64::from(number));

            // And what we write from it says the same, and a little more.
            let more = [
                Revoke::Serial {
                    serial: 13,
                    ca: public(&stock.cas[0]),
                },
                Revoke::KeyId {
                    key_id: "ben".to_owned(),
                    ca: Some(public(&stock.cas[1])),
                },
            ];
            let ours = krl_write(Some(&file), &more, real_now()).unwrap();
            let path = stock.shop.path("ours");
            std::fs::write(&path, ours).unwrap();
            let again = stock.agree(&path)?;
            prop_assert_eq!(again.number(), u64::from(number) + 1);
            Ok(())
        })
        .unwrap();
}

/// A line of a specification, the CA it is for (none: any), and what is said of `ana` afterwards.
type Case<'a> = (String, Option<&'a Path>, Option<&'static str>);

fn cases<'a>(ca: &'a Path, other: &'a Path, user: &Path) -> Vec<Case<'a>> {
    let line = |kind: &str, key: &Path| {
        format!(
            "{kind}: {}",
            std::fs::read_to_string(public_of(key)).unwrap()
        )
    };
    let serial = Some("serial 7 is in `revoked.krl`");
    let fingerprint = Some("the fingerprint of its key is in `revoked.krl`");
    let of_ca = Some("the key of its CA is in `revoked.krl`");
    vec![
        ("serial: 6".to_owned(), Some(ca), None),
        ("serial: 7".to_owned(), Some(other), None),
        ("id: ben".to_owned(), Some(ca), None),
        (line("key", other), None, None),
        ("serial: 7".to_owned(), Some(ca), serial),
        ("serial: 7".to_owned(), None, serial),
        ("serial: 1-9".to_owned(), Some(ca), serial),
        (
            "id: ana".to_owned(),
            None,
            Some("its key id is in `revoked.krl`"),
        ),
        (line("key", user), None, Some("its key is in `revoked.krl`")),
        (line("sha1", user), None, fingerprint),
        (line("sha256", user), None, fingerprint),
        (line("key", ca), None, of_ca),
        (line("sha1", ca), None, of_ca),
        (line("sha256", ca), None, of_ca),
    ]
}

#[test]
fn each_way_to_revoke_ends_what_was_accepted() {
    let shop = Shop::new();
    let (ca, other, user) = (
        shop.ed25519("ca"),
        shop.ed25519("other"),
        shop.ed25519("user"),
    );
    let certificate = shop.usual(&ca, &user, &[]);
    let trust = trust(&ca);
    let identity = check(&certificate, &trust).unwrap();
    for (spec, of, expected) in cases(&ca, &other, &user) {
        let path = shop.path("spec");
        std::fs::write(&path, format!("{spec}\n")).unwrap();
        let krl = shop.path("krl");
        let of = of.map_or("none".into(), public_of);
        let args = [
            "-q".into(),
            "-k".into(),
            "-f".into(),
            krl.clone(),
            "-s".into(),
            of,
            path,
        ];
        succeed("ssh-keygen", &args);
        let file = Revocations::load(&std::fs::read(&krl).unwrap(), "revoked.krl").unwrap();
        assert_eq!((file.entries(), file.lines().len()), (1, 1), "{spec}");
        let mut now = trust.clone();
        now.revocations = Revocations::of(vec![file]);
        let later = identity::recheck(&identity, &now, at(NOW));
        let Some(by) = expected else {
            assert_eq!(later, Ok(()), "{spec}");
            continue;
        };
        assert_eq!(refused(&certificate, &now), "revoked", "{spec}");
        let is_said = matches!(&later, Err(Refusal::Revoked(why)) if why.to_string() == by);
        assert!(is_said, "{spec}: {later:?}");
    }
}

#[test]
fn lists_of_public_keys_revoke_keys_and_cas() {
    let shop = Shop::new();
    let (ca, user, other) = (
        shop.ed25519("ca"),
        shop.ed25519("user"),
        shop.ed25519("other"),
    );
    let certificate = shop.usual(&ca, &user, &[]);
    let line = |key: &Path| std::fs::read_to_string(public_of(key)).unwrap();
    let revoked = |text: String| {
        let mut trust = trust(&ca);
        trust.revocations = Revocations::of(vec![Revocations::load(text.as_bytes(), "x").unwrap()]);
        check(&certificate, &trust)
            .map(|_| ())
            .map_err(|refusal| refusal.code())
    };
    assert_eq!(
        revoked(format!("# lost\n\n{}", line(&user))),
        Err("revoked")
    );
    assert_eq!(revoked(line(&ca)), Err("revoked"));
    assert_eq!(revoked(certificate.to_openssh().unwrap()), Err("revoked"));
    assert_eq!(revoked(format!("# lost\n{}", line(&other))), Ok(()));
}

#[test]
fn our_lists_are_kept_whole_by_many_hands() {
    let shop = Shop::new();
    let signer = shop.ed25519("ca");
    let krl = shop.path("revoked.krl");
    std::fs::write(&krl, ca::new_krl(at(NOW)).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for serial in 1..=8_u64 {
            let (krl, key) = (&krl, public(&signer));
            scope.spawn(move || {
                ca::revoke(
                    krl,
                    &[Revoke::Serial {
                        serial: serial * 2,
                        ca: key,
                    }],
                    at(NOW),
                )
                .unwrap()
            });
        }
    });
    let file = ca::load_krl(&krl).unwrap();
    assert_eq!((file.entries(), file.number()), (8, 9));
    let told = succeed("ssh-keygen", &["-Q", "-l", "-f", krl.to_str().unwrap()]);
    assert!(told.contains("serial: 16"), "{told}");
    let left: Vec<_> = std::fs::read_dir(shop.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
