//! What a mapping needs of one audit line. Pure.

use crate::event::{Audit, Totals, escape_json};
use crate::id::{Seq, SessionId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// An audit event with its envelope.
#[derive(Debug)]
pub struct Told<'a> {
    pub sid: SessionId,
    pub seq: Seq,
    pub ts: DateTime<Utc>,
    pub kind: &'a str,
    pub channel: Option<u32>,
    /// It is in no line of the recording, but follows from it: which of those with this number.
    pub derived: Option<u32>,
    pub audit: &'a Audit,
    /// The kind's own fields, by the names that the recording gives them.
    fields: Map<String, Value>,
}

impl<'a> Told<'a> {
    pub fn new(
        (sid, seq, ts): (SessionId, Seq, DateTime<Utc>),
        kind: &'a str,
        channel: Option<u32>,
        audit: &'a Audit,
    ) -> Self {
        // Our own types serialize; were one not to, its fields are missing and its envelope is not.
        let fields = match serde_json::to_value(&audit.kind) {
            Ok(Value::Object(mut fields)) => {
                fields.remove("kind");
                fields
            }
            Ok(_) | Err(_) => Map::new(),
        };
        Self {
            sid,
            seq,
            ts,
            kind,
            channel,
            derived: None,
            audit,
            fields,
        }
    }

    /// Says that it is derived, beside the kind's own fields.
    #[must_use]
    pub fn derived(mut self, number: Option<u32>) -> Self {
        if number.is_some() {
            self.fields.insert("derived".to_owned(), true.into());
        }
        Self {
            derived: number,
            ..self
        }
    }

    /// `sid:seq`: the event's id everywhere. What is derived from it has a number behind.
    pub(super) fn event_id(&self) -> String {
        let id = format!("{}:{}", self.sid, self.seq.0);
        match self.derived {
            Some(number) => format!("{id}.{number}"),
            None => id,
        }
    }

    /// The kind's own fields, channel and justification: what other schemas have no place for.
    pub fn unmapped(&self) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("kind".to_owned(), self.kind.into());
        if let Some(channel) = self.channel {
            all.insert("channel".to_owned(), channel.into());
        }
        all.extend(self.fields.clone());
        if let Some(why) = &self.audit.why {
            all.insert(
                "why".to_owned(),
                serde_json::to_value(why).unwrap_or(Value::Null),
            );
        }
        if let Some(login) = self.login() {
            all.insert("login".to_owned(), login.into());
        }
        all
    }

    /// The kind's own fields as one JSON text.
    pub fn detail(&self) -> String {
        escape_json(&Value::Object(self.fields.clone()).to_string())
    }

    pub(super) fn login(&self) -> Option<String> {
        let place = self.audit.place.as_deref()?;
        place.login.as_ref().map(ToString::to_string)
    }

    pub(super) fn node(&self) -> String {
        let place = self.audit.place.as_deref();
        place.map_or_else(|| "portcullis".to_owned(), |place| place.node.clone())
    }

    /// The line that a person ran, however the kind calls it.
    pub(super) fn command(&self) -> Option<String> {
        self.text("text").or_else(|| self.text("command"))
    }

    pub(super) fn path(&self) -> Option<String> {
        self.text("path")
    }

    pub(super) fn exit_code(&self) -> Option<i64> {
        self.fields.get("exit_status")?.as_i64()
    }

    pub(super) fn totals(&self) -> Option<Totals> {
        serde_json::from_value(self.fields.get("totals")?.clone()).ok()
    }

    /// Where a forward goes: host or socket, and port.
    pub(super) fn forwarded_to(&self) -> Option<(String, Option<u64>)> {
        let to = self.fields.get("to").or_else(|| self.fields.get("at"))?;
        let name = to.get("host").or_else(|| to.get("socket"))?.as_str()?;
        Some((name.to_owned(), to.get("port").and_then(Value::as_u64)))
    }

    /// Bytes from the user and to them, of a forward.
    pub(super) fn forwarded_bytes(&self) -> Option<(u64, u64)> {
        let of = |name: &str| self.fields.get(name)?.get("bytes")?.as_u64();
        Some((of("input")?, of("output")?))
    }

    pub(super) fn privileges(&self) -> Vec<String> {
        let listed = self.fields.get("principals").and_then(Value::as_array);
        let named = listed.into_iter().flatten().filter_map(Value::as_str);
        let mut privileges: Vec<String> = named.map(str::to_owned).collect();
        privileges.extend(self.text("what"));
        privileges
    }

    /// One sentence for a reader of lists.
    pub(super) fn sentence(&self) -> String {
        let own = self
            .text("message")
            .or_else(|| self.command())
            .or_else(|| self.path())
            .or_else(|| self.text("detail"))
            .or_else(|| {
                let (name, port) = self.forwarded_to()?;
                let port = port.map_or_else(String::new, |port| format!(" port {port}"));
                Some(format!("{name}{port}"))
            })
            .or_else(|| {
                let note = self.fields.get("note")?.get("message")?;
                Some(note.as_str()?.to_owned())
            });
        match own {
            Some(text) => format!("{}: {text}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    /// A text field, or bytes as the recording writes them.
    fn text(&self, name: &str) -> Option<String> {
        let value = self.fields.get(name)?;
        let text = value.as_str().or_else(|| value.get("data")?.as_str());
        match text {
            Some(text) => Some(text.to_owned()),
            None => Some(format!("base64:{}", value.get("base64")?.as_str()?)),
        }
    }
}
