//! Facts go in as Cedar entities, a verdict comes out.

use super::{Destination, Facts, PolicySet, Resource, Verdict};
use cedar_policy::{
    Authorizer, Context as CedarContext, Decision, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Request, RestrictedExpression as Value,
};
use std::collections::{HashMap, HashSet};

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl PolicySet {
    /// Default deny; forbid wins. A decision that carries an error is a denial: Cedar skips a policy
    /// that fails, and a skipped `forbid` must not open a door.
    pub fn decide(&self, facts: &Facts) -> Verdict {
        self.ask(facts).unwrap_or_else(|fault| Verdict {
            allowed: false,
            policies: Vec::new(),
            errors: vec![fault.to_string()],
        })
    }

    fn ask(&self, facts: &Facts) -> Result<Verdict, Fault> {
        let person = uid("Person", &facts.principal.name)?;
        let action = uid("Action", facts.action.as_str())?;
        let (resource, thing) = resource(&facts.resource)?;
        let context = CedarContext::from_pairs(context(facts))?;
        let mut entities = vec![thing];
        let mut groups = HashSet::new();
        for group in &facts.principal.groups {
            let group = uid("Group", group)?;
            groups.insert(group.clone());
            entities.push(Entity::new_no_attrs(group, HashSet::new()));
        }
        let principals = strings(&facts.principal.principals);
        entities.push(Entity::new(
            person.clone(),
            HashMap::from([("principals".to_owned(), principals)]),
            groups,
        )?);
        let entities = Entities::from_entities(entities, Some(&self.schema))?;
        let request = Request::new(person, action, resource, context, Some(&self.schema))?;
        let answer = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let diagnostics = answer.diagnostics();
        let errors: Vec<_> = diagnostics.errors().map(ToString::to_string).collect();
        let mut policies: Vec<_> = diagnostics.reason().map(ToString::to_string).collect();
        policies.sort();
        Ok(Verdict {
            allowed: answer.decision() == Decision::Allow && errors.is_empty(),
            policies,
            errors,
        })
    }
}

fn uid(kind: &str, name: &str) -> Result<EntityUid, Fault> {
    let kind: EntityTypeName = kind.parse()?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(name)))
}

fn strings(texts: &[String]) -> Value {
    Value::new_set(texts.iter().map(|text| Value::new_string(text.clone())))
}

fn resource(resource: &Resource) -> Result<(EntityUid, Entity), Fault> {
    let (id, attributes, tags) = match resource {
        Resource::Target {
            name,
            login,
            labels,
            logins,
            listed,
        } => {
            let attributes = HashMap::from([
                ("target".to_owned(), Value::new_string(name.to_string())),
                ("login".to_owned(), Value::new_string(login.to_string())),
                ("logins".to_owned(), strings(logins)),
                ("listed".to_owned(), Value::new_bool(*listed)),
            ]);
            let tags = labels
                .iter()
                .map(|(name, value)| (name.clone(), Value::new_string(value.clone())))
                .collect();
            (
                uid("Account", &format!("{login}@{name}"))?,
                attributes,
                tags,
            )
        }
        Resource::Session {
            owner,
            same_certificate,
        } => {
            let owner = owner.as_ref().map_or("", |owner| owner.as_str());
            let attributes = HashMap::from([
                ("owner".to_owned(), Value::new_string(owner.to_owned())),
                (
                    "sameCertificate".to_owned(),
                    Value::new_bool(*same_certificate),
                ),
            ]);
            (uid("Session", owner)?, attributes, HashMap::new())
        }
        Resource::Bastion => (uid("Bastion", "bastion")?, HashMap::new(), HashMap::new()),
    };
    let entity = Entity::new_with_tags(id.clone(), attributes, HashSet::new(), tags)?;
    Ok((id, entity))
}

fn context(facts: &Facts) -> Vec<(String, Value)> {
    let context = &facts.context;
    let mut pairs = vec![
        ("now".to_owned(), Value::new_long(context.now_unix_s)),
        (
            "weekday".to_owned(),
            Value::new_long(context.weekday.into()),
        ),
        ("hour".to_owned(), Value::new_long(context.hour.into())),
        ("ticket".to_owned(), Value::new_bool(context.ticket)),
        (
            "certificateAge".to_owned(),
            Value::new_long(context.certificate_age_s),
        ),
        (
            "certificateInside".to_owned(),
            Value::new_bool(context.certificate_inside),
        ),
        ("door".to_owned(), Value::new_string(context.door.clone())),
    ];
    if let Some(ip) = context.source_ip {
        pairs.push(("source".to_owned(), Value::new_ip(ip.to_string())));
    }
    if let Some(source) = &context.why_source {
        pairs.push(("whySource".to_owned(), Value::new_string(source.clone())));
    }
    match &context.destination {
        None => {}
        Some(Destination::Socket(path)) => {
            pairs.push(("socket".to_owned(), Value::new_string(path.clone())));
        }
        Some(Destination::Host { host, port }) => {
            // Canonical already: `Destination` has no other makers.
            if let Ok(ip) = host.parse::<std::net::IpAddr>() {
                pairs.push(("address".to_owned(), Value::new_ip(ip.to_string())));
            }
            pairs.push(("host".to_owned(), Value::new_string(host.clone())));
            pairs.push(("port".to_owned(), Value::new_long((*port).into())));
        }
    }
    pairs
}
