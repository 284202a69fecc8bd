//! What a forwarded agent was used for, one line each.

use crate::event::{AgentEnd, AgentRefuse, AgentSign, AgentSigned, Kind, TextOrBytes};

/// `None` for what is not about an agent, and for the steps in between.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are told elsewhere"
)]
pub fn told(kind: &Kind) -> Option<String> {
    match kind {
        Kind::AgentForward { decision } => Some(match decision.policies.is_empty() {
            true => "forwarded".to_owned(),
            false => format!("forwarded, by {}", decision.policies.join(", ")),
        }),
        Kind::AgentSign(sign) => Some(signature(sign)),
        Kind::AgentRefuse(refuse) => Some(format!("refused {}", request(refuse))),
        Kind::AgentClose(close)
            if matches!(close.ended, AgentEnd::Malformed | AgentEnd::Refused) =>
        {
            let message = close.message.as_deref().unwrap_or("it did not come to be");
            Some(format!("closed: {message}"))
        }
        _ => None,
    }
}

/// What came of the signature that was asked for; `None` for another answer.
pub fn answered(kind: &Kind) -> Option<&'static str> {
    let Kind::AgentAnswer(answer) = kind else {
        return None;
    };
    match (answer.request.as_str(), answer.answer.as_str()) {
        ("sign", "signature") => Some("signed"),
        ("sign", _) => Some("not signed"),
        _ => None,
    }
}

/// What the bastion answered with no.
pub fn request(refuse: &AgentRefuse) -> String {
    let extension = refuse.extension.as_ref();
    let extension = extension.map_or_else(String::new, |name| format!(" {}", text(name)));
    format!("{}{extension}", refuse.request)
}

fn signature(sign: &AgentSign) -> String {
    let what = match &sign.signs {
        AgentSigned::Login { user, host_key, .. } => {
            let at = host_key.as_ref();
            let at = at.map_or_else(
                || "a host that it does not name".to_owned(),
                |key| format!("host key {key}"),
            );
            format!("login as {} at {at}", text(user))
        }
        AgentSigned::Message { namespace } => format!("a message for {}", text(namespace)),
        AgentSigned::Unknown => format!("{} bytes that are nothing known", sign.bytes),
    };
    format!("{what}, with key {}", sign.key)
}

fn text(text: &TextOrBytes) -> String {
    match &text.data {
        Some(data) => data.clone(),
        None => format!("({} bytes that are no text)", text.n),
    }
}
