use super::*;
use crate::event::{
    AgentAnswer, AgentRefuse, AgentSign, AgentSigned, Blind, BlindReason, Command, CommandSource,
    Confidence, Endpoint, ForwardClose, ForwardDirection, ForwardEnd, ForwardSum, Marks,
    SecretLine, Span,
};
use crate::id::Seq;
use std::time::Duration;

fn told(events: Vec<(Kind, Outcome)>) -> Story {
    let mut story = Story::default();
    for (number, (kind, outcome)) in events.into_iter().enumerate() {
        let line = Line {
            sid: "01935f3e-8a7b-7000-8000-000000000001".parse().unwrap(),
            seq: Seq(number as u64),
            // The session started with the epoch.
            ts: chrono::DateTime::from_timestamp(60, 0).unwrap(),
            mt: Duration::from_secs(60),
            kind: "kind".to_owned(),
            channel: Some(1),
            derived: None,
            what: What::Audit(Box::new(Audit::of_node(kind, outcome))),
        };
        story.tell(&Step::Line(Box::new(line)));
    }
    story.finish()
}

fn span() -> Span {
    Span {
        from_mt: 1_000_000_000,
        to_mt: 5_000_000_000,
        ..Span::default()
    }
}

fn command(text: &str, source: CommandSource, exit_status: Option<i32>) -> Kind {
    Kind::Command(Box::new(Command {
        text: text.to_owned(),
        lines: 1,
        confidence: Confidence::High,
        sources: vec![source],
        span: span(),
        marks: Marks {
            exit_status,
            ..Marks::default()
        },
    }))
}

fn decision(policy: &str) -> Decision {
    Decision {
        action: "agent".to_owned(),
        allowed: true,
        policies: vec![policy.to_owned()],
        errors: Vec::new(),
    }
}

#[test]
fn commands_are_told_with_when_how_sure_and_how_they_ended() {
    let close = ChannelDetail {
        exit_status: Some(3),
        ..ChannelDetail::default()
    };
    let secret = SecretLine {
        bytes: 7,
        span: span(),
    };
    let blind = Blind {
        reason: BlindReason::AlternateScreen,
        span: span(),
    };
    let events = [
        command("id", CommandSource::Typed, Some(0)),
        command("uptime", CommandSource::Typed, None),
        command("false", CommandSource::Exec, None),
        Kind::CommandSecret(secret),
        Kind::Blind(blind),
        Kind::ChannelClose(close),
    ];
    let story = told(events.map(|kind| (kind, Outcome::Success)).into());
    let ran = &story.commands.entries;
    let exits: Vec<_> = ran.iter().map(|ran| ran.exit_status).collect();
    assert_eq!(exits, [Some(0), None, Some(3)]);
    assert_eq!(ran[0].text, "id");
    assert_eq!(ran[0].at.timestamp(), 5, "when it was submitted");
    assert_eq!(ran[0].confidence, Confidence::High);
    assert_eq!(story.secret_lines, 1);
    let unseen = &story.blind.entries[0];
    assert_eq!((unseen.from.timestamp(), unseen.to.timestamp()), (1, 5));
}

#[test]
fn a_long_command_is_cut_between_characters() {
    let text = "ü".repeat(5000);
    let story = told(vec![(
        command(&text, CommandSource::Typed, None),
        Outcome::Success,
    )]);
    let shown = &story.commands.entries[0].text;
    assert!(shown.len() < 4100 && shown.ends_with("ü..."), "{shown}");
}

#[test]
fn what_an_agent_was_used_for_is_told_with_what_came_of_it() {
    let sign = || {
        Kind::AgentSign(Box::new(AgentSign {
            key: "SHA256:key".to_owned(),
            key_type: TextOrBytes::from_bytes(b"ssh-ed25519"),
            flags: 0,
            signs: AgentSigned::Login {
                user: TextOrBytes::from_bytes(b"root"),
                service: TextOrBytes::from_bytes(b"ssh-connection"),
                host_key: Some("SHA256:host".to_owned()),
            },
            bytes: 7,
        }))
    };
    let answer = |answer: &str| {
        Kind::AgentAnswer(Box::new(AgentAnswer {
            request: "sign".to_owned(),
            answer: answer.to_owned(),
            keys: None,
            bytes: 7,
        }))
    };
    let refuse = Kind::AgentRefuse(Box::new(AgentRefuse {
        request: "remove-all".to_owned(),
        extension: None,
        bytes: 1,
    }));
    let forward = Kind::AgentForward {
        decision: decision("may"),
    };
    let story = told(vec![
        (forward, Outcome::Success),
        (sign(), Outcome::Success),
        (answer("signature"), Outcome::Success),
        (sign(), Outcome::Success),
        (answer("failure"), Outcome::Failure),
        (sign(), Outcome::Success),
        (refuse, Outcome::Denied),
    ]);
    let asked = "login as root at host key SHA256:host, with key SHA256:key";
    assert_eq!(
        story.agent.entries,
        [
            "forwarded, by may".to_owned(),
            format!("{asked}: signed"),
            format!("{asked}: not signed"),
            format!("{asked}: no answer"),
        ]
    );
    assert_eq!(story.refused.entries, ["agent remove-all"]);
}

#[test]
fn a_forward_that_policy_ended_is_notable() {
    let sum = || ForwardSum {
        bytes: 2,
        sha256: String::new(),
    };
    let close = |ended| {
        Kind::ForwardClose(Box::new(ForwardClose {
            direction: ForwardDirection::Local,
            to: Endpoint::default(),
            input: sum(),
            output: sum(),
            guess: None,
            opaque: false,
            ended,
            message: None,
        }))
    };
    let story = told(vec![
        (close(ForwardEnd::User), Outcome::Success),
        (close(ForwardEnd::Policy), Outcome::Success),
    ]);
    assert_eq!(story.forwards.total, 2);
    assert_eq!(
        story.notable.entries,
        ["forward to ? closed: 2 bytes in, 2 out, ended by policy"]
    );
}

#[test]
fn a_reason_that_was_sent_is_not_refused() {
    let env = |name: &str| Kind::Env {
        name: name.to_owned(),
        value: "x".to_owned(),
        accepted: false,
    };
    let names = ["PORTCULLIS_REASON", "PORTCULLIS_TICKET", "LD_PRELOAD"];
    for outcome in [Outcome::Success, Outcome::Denied] {
        let story = told(names.map(|name| (env(name), outcome)).into());
        assert_eq!(story.refused.entries, ["env LD_PRELOAD"]);
    }
}
