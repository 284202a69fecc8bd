use super::*;
use proptest::prelude::*;

fn parse(policies: &str) -> Result<PolicySet, Vec<Fault>> {
    PolicySet::parse(
        &[("test.cedar".to_owned(), policies.to_owned())],
        ("s", SHIPPED_SCHEMA),
    )
}

fn shipped() -> PolicySet {
    parse(SHIPPED_POLICIES).unwrap()
}

fn open(login: &str, action: Action, groups: &[&str], listed: bool) -> Facts {
    Facts {
        principal: Principal {
            name: "ana".to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            principals: vec!["root".to_owned(), "app".to_owned()],
        },
        action,
        resource: Resource::Target {
            name: "db1".parse().unwrap(),
            login: login.parse().unwrap(),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
            logins: vec!["root".to_owned(), "postgres".to_owned()],
            listed,
        },
        context: Context {
            source_ip: Some("10.0.0.1".parse().unwrap()),
            door: "jump".to_owned(),
            ..Context::default()
        },
    }
}

#[test]
fn shipped_policies_open_listed_logins_that_the_certificate_holds() {
    let set = shipped();
    let verdict = set.decide(&open("root", Action::Shell, &[], true));
    assert!(verdict.allowed, "{verdict:?}");
    assert_eq!(verdict.policies, ["test.cedar#open-own-logins"]);
    for denied in [
        open("postgres", Action::Shell, &[], true), // not a principal
        open("app", Action::Shell, &[], true),      // not listed by the target
        open("root", Action::Shell, &[], false),    // found by match
        open("root", Action::Agent, &[], true),
        open("root", Action::ForwardRemote, &[], true),
        open("root", Action::Shell, &["auditors"], true),
    ] {
        let verdict = set.decide(&denied);
        assert!(
            !verdict.allowed && verdict.errors.is_empty(),
            "{denied:?} {verdict:?}"
        );
    }
}

#[test]
fn recordings_are_for_their_owner_under_that_certificate_and_for_auditors() {
    let set = shipped();
    let mut look = open("root", Action::View, &[], true);
    let session = |same_certificate| Resource::Session {
        owner: Some("ana".parse().unwrap()),
        same_certificate,
    };
    look.resource = session(false);
    assert!(!set.decide(&look).allowed);
    look.resource = session(true);
    assert!(set.decide(&look).allowed);
    look.resource = session(false);
    look.principal.groups = vec!["auditors".to_owned()];
    assert!(set.decide(&look).allowed);
}

#[test]
fn labels_are_tags() {
    let set = parse(
        r#"permit (principal, action == Action::"shell", resource) when {
            resource.hasTag("env") && resource.getTag("env") == "prod" };"#,
    )
    .unwrap();
    assert!(set.decide(&open("x", Action::Shell, &[], false)).allowed);
}

#[test]
fn an_error_denies_even_where_another_policy_permits() {
    let set = parse(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"shell", resource)
           when { context.now + 9223372036854775807 > 0 };"#,
    )
    .unwrap();
    let mut facts = open("root", Action::Shell, &[], true);
    facts.context.now_unix_s = 5;
    let verdict = set.decide(&facts);
    assert!(
        !verdict.allowed && !verdict.errors.is_empty(),
        "{verdict:?}"
    );
}

#[test]
fn a_wrong_policy_is_refused_with_its_file() {
    let faults = parse("permit (principal, action, resource) when { resource.colour };");
    assert_eq!(faults.unwrap_err()[0].file, "test.cedar");
    assert!(parse("permit (").is_err());
}

#[test]
fn the_shipped_examples_hold_and_each_shipped_policy_has_one() {
    let set = PolicySet::parse(
        &[("portcullis.cedar".to_owned(), SHIPPED_POLICIES.to_owned())],
        ("s", SHIPPED_SCHEMA),
    )
    .unwrap();
    assert_eq!(set.warnings(), []);
    let examples = Example::parse("examples.toml", SHIPPED_EXAMPLES).unwrap();
    for example in &examples {
        assert_eq!(example.check(&set), Ok(()));
    }
    for policy in set.policies.policies() {
        // Without it some example must come out otherwise: then the examples hold it.
        let mut others = set.clone();
        others.policies.remove_static(policy.id().clone()).unwrap();
        let failed = examples
            .iter()
            .any(|example| example.check(&others).is_err());
        assert!(failed, "no example needs {}", policy.id());
    }
}

#[test]
fn a_failed_example_is_named_with_its_line() {
    let text = "[[example]]\nsays = \"ana in\"\nidentity = \"ana\"\naction = \"use\"\n\
                expect = \"deny\"\n\n[[example]]\nsays = \"by another\"\nidentity = \"ana\"\n\
                action = \"use\"\nexpect = \"allow\"\nby = [\"other\"]\n";
    let examples = Example::parse("e.toml", text).unwrap();
    let failed = |at: usize| examples[at].check(&shipped()).unwrap_err().to_string();
    assert_eq!(
        failed(0),
        "e.toml:1: `ana in`: must be denied, is allowed by `test.cedar#own-affairs`"
    );
    assert_eq!(
        failed(1),
        "e.toml:7: `by another`: must be allowed by `other`, is by `test.cedar#own-affairs`"
    );
    let wrong =
        "[[example]]\nsays = \"x\"\nidentity = \"a\"\naction = \"fly\"\nexpect = \"deny\"\n";
    let fault = Example::parse("e.toml", wrong).unwrap_err().remove(0);
    assert!(
        fault
            .to_string()
            .starts_with("e.toml:1: `x`: `fly` is no action; there are shell,")
    );
}

#[test]
fn an_explanation_names_the_policy_or_those_that_permit_it_elsewhere() {
    let allowed = shipped().explain(&open("root", Action::Shell, &[], true));
    assert_eq!(allowed.deciding[0].0, "test.cedar#open-own-logins");
    assert!(allowed.deciding[0].1.contains("resource.listed"));
    let denied = shipped().explain(&open("postgres", Action::Shell, &[], true));
    assert!(denied.deciding.is_empty());
    assert_eq!(denied.elsewhere, ["test.cedar#open-own-logins"]);
    let forbidden = shipped().explain(&open("root", Action::Shell, &["auditors"], true));
    assert_eq!(forbidden.deciding[0].0, "test.cedar#auditors-open-nothing");
}

#[test]
fn every_action_is_in_the_schema_and_no_other() {
    let set = shipped();
    let mut known: Vec<_> = set
        .schema
        .actions()
        .map(|uid| uid.id().unescaped().to_owned())
        .collect();
    let mut ours: Vec<_> = Action::ALL.iter().map(|a| a.as_str().to_owned()).collect();
    known.sort();
    ours.sort();
    assert_eq!(known, ours);
}

prop_compose! {
    fn facts()(
        action in proptest::sample::select(Action::ALL.to_vec()),
        login in "root|app|postgres",
        principals in proptest::collection::vec("root|app|ana", 0..3),
        groups in proptest::collection::vec("auditors|admins|dba", 0..3),
        listed: bool, ticket: bool, same_certificate: bool,
        hour in 0u8..24,
        env in "prod|test",
        host in proptest::option::of("localhost|127\\.0\\.0\\.1|10\\.0\\.0\\.9|::1|db2"),
    ) -> Facts {
        let resource = if Action::ON_TARGETS.contains(&action) {
            Resource::Target {
                name: "db1".parse().unwrap(),
                login: login.parse().unwrap(),
                labels: [("env".to_owned(), env)].into(),
                logins: vec!["root".to_owned(), "app".to_owned()],
                listed,
            }
        } else if Action::ON_SESSIONS.contains(&action) {
            Resource::Session { owner: Some("ana".parse().unwrap()), same_certificate }
        } else {
            Resource::Bastion
        };
        Facts {
            principal: Principal { name: "ana".to_owned(), groups, principals },
            action,
            resource,
            context: Context {
                ticket,
                hour,
                destination: host.map(|host| Destination::Host { host, port: 5432 }),
                ..Context::default()
            },
        }
    }
}

/// A forbid with scope and condition of many kinds; some of them fail when they are evaluated.
fn forbid() -> impl Strategy<Value = String> {
    let who = "principal|principal in Group::\"auditors\"|principal == Person::\"ana\"";
    let what =
        "action|action == Action::\"shell\"|action in \\[Action::\"exec\", Action::\"view\"\\]";
    let when = "|when \\{ context\\.ticket \\}|unless \\{ context\\.hour < 9 \\}|\
                when \\{ context has host && context\\.host == \"localhost\" \\}|\
                when \\{ context\\.now \\+ 9223372036854775807 > context\\.hour \\}|\
                when \\{ principal\\.principals\\.contains\\(\"root\"\\) \\}";
    (who, what, when)
        .prop_map(|(who, what, when)| format!("forbid ({who}, {what}, resource) {when};"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn an_added_forbid_never_allows_more(facts in facts(), forbids in proptest::collection::vec(forbid(), 1..4)) {
        let with = parse(&format!("{SHIPPED_POLICIES}\n{}", forbids.join("\n"))).unwrap();
        let without = shipped().decide(&facts);
        let with = with.decide(&facts);
        prop_assert!(without.allowed || !with.allowed, "{forbids:?}");
        prop_assert!(!with.allowed || with.errors.is_empty());
    }
}
