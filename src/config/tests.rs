use super::check::MAX_LIFETIME;
use super::{Config, Faults, TEMPLATE};
use crate::proxy::config::{Limits, Session};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A directory with what the template names.
fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["keys", "policies", "state", "targets.d"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let names = [
        "user_ca",
        "host_ca",
        "target_ca",
        "host_ed25519",
        "user_ca.pub",
        "revoked.krl",
    ];
    for name in names {
        let path = dir.path().join("keys").join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    dir
}

fn load_in(dir: &Path, text: &str) -> Result<Config, Faults> {
    let file = dir.join("portcullis.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file)
}

fn load(text: &str) -> Result<Config, Faults> {
    load_in(dir().path(), text)
}

/// All that a configuration is, but for where it lies and how it was written.
fn shown(config: &Config, dir: &Path) -> String {
    let config = Config {
        hash: String::new(),
        settings: BTreeMap::new(),
        ..config.clone()
    };
    format!("{config:#?}").replace(dir.to_str().unwrap(), "DIR")
}

#[test]
fn the_template_is_the_defaults() {
    let dir = dir();
    let config = load_in(dir.path(), TEMPLATE).unwrap();
    assert!(config.targets.is_empty() && config.matching.is_empty());
    assert!(config.access.justification_required);
    assert_eq!(config.max_lifetime, MAX_LIFETIME);
    assert!(config.proxy.notice.is_some());
    assert_eq!(config.proxy.limits, Limits::default());
    assert_eq!(config.proxy.session, Session::default());

    // The least that works has the same settings.
    let least = "[listen]\nssh = \"127.0.0.1:2222\"\nhost_key = \"keys/host_ed25519\"\n\
                 [identity]\nrevoked = [\"keys/revoked.krl\"]\n[[identity.ca]]\n\
                 file = \"keys/user_ca.pub\"\nidentities = \"*\"\n\
                 believe = [\"groups\", \"grant\", \"approvers\"]\n[ca]\nuser = \"keys/user_ca\"\n\
                 host = \"keys/host_ca\"\ntarget = \"keys/target_ca\"\n";
    let least = load_in(dir.path(), least).unwrap();
    assert_eq!(shown(&config, dir.path()), shown(&least, dir.path()));
}

#[test]
fn what_is_commented_out_in_the_template_is_the_default() {
    let dir = dir();
    let mut uncommented = 0;
    let lines = TEMPLATE.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.split_once(" = ").is_some() => {
            uncommented += 1;
            setting
        }
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(uncommented > 20, "{uncommented}");
    let commented = load_in(dir.path(), TEMPLATE).unwrap();
    let all = load_in(dir.path(), &text).unwrap();
    assert_eq!(shown(&commented, dir.path()), shown(&all, dir.path()));
}

#[test]
fn the_template_has_every_setting() {
    // An unknown key is answered with all known ones.
    let sections = [
        "",
        "[listen]",
        "[identity]",
        "[[identity.ca]]",
        "[ca]",
        "[state]",
        "[policies]",
        "[justification]",
        "[recording]",
        "[notice]",
        "[limits]",
        "[session]",
        "[[target]]",
    ];
    for section in sections {
        let faults = load(&format!("{section}\nno-such-key = 1\n")).unwrap_err();
        let fault = faults.0.iter().find(|fault| fault.contains("no-such-key"));
        let words: Vec<&str> = fault.unwrap().split('`').collect();
        let known = words.iter().skip(3).step_by(2);
        let mut count = 0;
        for key in known {
            count += 1;
            let written = [format!("{key} ="), format!("[{key}"), format!("[[{key}")];
            let there = |line: &str| written.iter().any(|key| line.contains(key.as_str()));
            assert!(TEMPLATE.lines().any(there), "{section} {key}");
        }
        assert!(count > 0, "{section}");
    }
}

#[test]
fn all_faults_are_found_at_once_each_with_its_line() {
    let text = "[listen]\nssh = [\"127.0.0.1:0\", \"nowhere\"]\nhost_key = \"keys/none\"\n\
                [identity]\nprincipls = \"login\"\nmax_lifetime = 8\n\
                [ca]\nhost = \"keys/host_ca\"\n\
                [session]\nidle = \"soon\"\nkeepalive = \"0s\"\ndrain = \"never\"\n\
                [recording]\nrefuse = \"lots\"\ntyped = \"all\"\nrecipients = [\"age1x\"]\n\
                [limits]\nattempts = 0\noffers = \"many\"\nmemory = \"2GB\"\n\
                [[target]]\naddress = \"x\"\n\
                [[target]]\nname = \"a b\"\n\
                [[target]]\nname = \"db1\"\nhost = { ca = \"no.pub\", keys = [] }\nport = 22\n\
                [[target]]\nname = \"DB1.\"\naddress = \"db1:ssh\"\nauth = \"password\"\n";
    let faults = load(text).unwrap_err().0;
    let expected = [
        (2, "not `nowhere`"),
        (3, "`listen.host_key` names"),
        (5, "unknown field `principls`, expected one of `principals`"),
        (
            6,
            "`max_lifetime` is a time with its unit, as \"90s\", \"10m\" or \"8h\", not 8",
        ),
        (7, "`[ca] target` is missing"),
        (10, "`idle` is a time"),
        (11, "`keepalive` is a time"),
        (12, "`drain` is a time"),
        (14, "`refuse` is a share of the disk as \"5%\""),
        (15, "unknown variant `all`, expected"),
        (16, "`recipients`"),
        (18, "`attempts` is a number from 1 to"),
        (19, "`offers` is a number from 1 to"),
        (
            20,
            "`memory` is a size as \"2GiB\" or \"500MiB\", 16 MiB at least, not \"2GB\"",
        ),
        (21, "a `name` or a `match`"),
        (24, "`a b` is no name for a target"),
        (27, "`host` is one of"),
        (28, "unknown field `port`"),
        (29, "the target `db1` is listed twice"),
        (31, "`db1:ssh` is no address"),
        (32, "`auth` is \"certificate\""),
    ];
    for (line, says) in expected {
        let at = format!("portcullis.toml:{line}: ");
        let found = |fault: &&String| fault.contains(&at) && fault.contains(says);
        assert!(
            faults.iter().any(|f| found(&f)),
            "{line} {says}\n{}",
            faults.join("\n")
        );
    }
    assert_eq!(faults.len(), expected.len(), "{}", faults.join("\n"));
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_chmod_line() {
    let dir = dir();
    let key = dir.path().join("keys/host_ca");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let faults = load_in(dir.path(), TEMPLATE).unwrap_err().to_string();
    let expected = format!("run `chmod 600 {}`", key.display());
    assert!(faults.contains(&expected), "{faults}");
}

#[test]
fn included_targets_belong_to_it_and_their_faults_have_their_file() {
    let dir = dir();
    let text = format!("include = [\"targets.d/*.toml\"]\n{TEMPLATE}");
    let included = dir.path().join("targets.d/db.toml");
    fs::write(&included, "[[target]]\nname = \"db1\"\n").unwrap();
    fs::write(dir.path().join("targets.d/.db.toml.swp"), "half").unwrap();
    let config = load_in(dir.path(), &text).unwrap();
    assert_eq!(config.targets.len(), 1);
    assert_eq!(config.sources().len(), 2);

    fs::write(
        &included,
        "[[target]]\nname = \"db2\"\nlogins = [\"root\"]\n",
    )
    .unwrap();
    let newer = load_in(dir.path(), &text).unwrap();
    assert_ne!(newer.hash, config.hash);
    let difference = newer.difference(&config);
    assert!(
        difference.contains(&"+ target.db2.logins = [\"root\"]".to_owned()),
        "{difference:?}"
    );
    assert!(
        difference.contains(&"- target.db1.name = \"db1\"".to_owned()),
        "{difference:?}"
    );

    fs::write(&included, "[[target]]\nnam = \"db1\"\n[listen]\n").unwrap();
    let faults = load_in(dir.path(), &text).unwrap_err().0;
    assert!(
        faults.iter().all(|fault| fault.contains("db.toml:")),
        "{faults:?}"
    );
    let gone = TEMPLATE.replacen("", "include = [\"nowhere/*.toml\"]\n", 1);
    let faults = load_in(dir.path(), &gone).unwrap_err().to_string();
    assert!(
        faults.contains("portcullis.toml:1: `include` leads to"),
        "{faults}"
    );
}

#[test]
fn what_does_not_take_effect_at_once_says_so() {
    let dir = dir();
    let before = load_in(dir.path(), TEMPLATE).unwrap();
    let text = TEMPLATE.replace("# drain = \"60s\"", "drain = \"5s\"");
    let after = load_in(dir.path(), &text).unwrap();
    assert_eq!(
        after.difference(&before),
        ["+ session.drain = \"5s\" (at the next start)"]
    );
}
