//! `why`: reason and ticket of a certificate, for tools that cannot send them.

use super::answer::{Fault, finish, json, line_end, print};
use super::tree::WhyArgs;
use super::when::Zone;
use crate::access::{Caller, Desk, reason};
use crate::clock::Clock;
use crate::event::{Audit, Kind, Outcome, Shown, Where, Who, Why, WhySource};
use crate::id::Ticket;
use crate::proxy::Call;
use crate::record::Recorder;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// What the verb needs of the house, and who asks as events say it.
pub(super) struct Setting<'a> {
    pub(super) desk: &'a Desk,
    pub(super) clock: &'a Clock,
    pub(super) recorder: &'a Recorder,
    pub(super) who: Arc<Who>,
    pub(super) place: Arc<Where>,
}

pub(super) async fn run(
    args: &WhyArgs,
    caller: &Caller,
    setting: Setting<'_>,
    call: &mut Call,
) -> u8 {
    let done = set(args, caller, setting, call).await;
    finish(done, call).await
}

async fn set(
    args: &WhyArgs,
    caller: &Caller,
    setting: Setting<'_>,
    call: &mut Call,
) -> Result<u8, Fault> {
    let Caller::Person { who, .. } = caller else {
        let text = "`why` sets the reason of a certificate: use `ssh BASTION why`";
        return Err(Fault::Usage(text.to_owned()));
    };
    let justification =
        reason(&args.reason).map_err(|bad| Fault::Usage(format!("that is no reason: {bad}")))?;
    let ticket = args.ticket.as_ref().map(|text| {
        let bad = |bad| Fault::Usage(format!("`{}` is no ticket: {bad}", Shown(text)));
        text.parse::<Ticket>().map_err(bad)
    });
    // It ends with the certificate at the latest; a time beyond all clocks is that, too.
    let until = setting.clock.now().checked_add(args.lifetime);
    let until = until.map_or(who.valid_before(), |until| until.min(who.valid_before()));
    let why = Why {
        justification: Some(justification),
        ticket: ticket.transpose()?,
        source: Some(WhySource::Verb),
        ..Why::default()
    };
    let kind = Kind::WhySet {
        until: until.into(),
    };
    let event = Audit {
        kind,
        outcome: Outcome::Success,
        who: Some(setting.who),
        place: Some(setting.place),
        why: Some(Arc::new(why.clone())),
    };
    let recorded = setting.recorder.append_node(event).await;
    recorded.map_err(|error| Fault::Unrecorded(error.to_string()))?;
    if !setting.desk.set_why(who, why.clone(), until) {
        let text = "too many reasons are set just now: send it with SetEnv PORTCULLIS_REASON";
        return Err(Fault::Broken(text.to_owned()));
    }
    answer(args, &why, until.into(), call).await
}

async fn answer(
    args: &WhyArgs,
    why: &Why,
    until: DateTime<Utc>,
    call: &mut Call,
) -> Result<u8, Fault> {
    let text = match args.json {
        true => json(&serde_json::json!({
            "justification": why.justification, "ticket": why.ticket, "until": until,
        }))?,
        false => format!(
            "reason set until {}, for the sessions of this certificate",
            Zone::of(&call.env).show(until)
        ),
    };
    let end = line_end(call);
    print(&mut call.output, end, &text).await?;
    Ok(0)
}
