use super::Action;
use cedar_policy::{
    ActionConstraint, Effect, Policy, PolicyId, PolicySet as Cedar, Schema, ValidationMode,
    Validator,
};
use miette::Diagnostic;
use ring::digest;
use std::collections::BTreeMap;

/// The policies and schema in force: parsed, validated, immutable.
#[derive(Clone, Debug)]
pub struct PolicySet {
    pub(crate) policies: Cedar,
    pub(crate) schema: Schema,
    warnings: Vec<Fault>,
    hash: String,
}

/// What was wrong with a policy text, with file and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct Fault {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl PolicySet {
    /// `files`: name and text of every `*.cedar`; `schema`: name and text. Strict validation.
    ///
    /// # Errors
    /// All faults at once, each with file and line.
    pub fn parse(files: &[(String, String)], schema: (&str, &str)) -> Result<Self, Vec<Fault>> {
        let (parsed_schema, _warnings) =
            Schema::from_cedarschema_str(schema.1).map_err(|error| {
                let at = first_label(&error).unwrap_or(0);
                vec![fault(schema.0, schema.1, at, error.to_string())]
            })?;
        let mut faults = Vec::new();
        let mut all = Cedar::new();
        for (file, text) in files {
            add_file(&mut all, file, text, &mut faults);
        }
        let validator = Validator::new(parsed_schema.clone());
        let result = validator.validate(&all, ValidationMode::Strict);
        for error in result.validation_errors() {
            let at = first_label(error);
            faults.push(located(files, error.policy_id(), at, error.to_string()));
        }
        if !faults.is_empty() {
            // The validator finds them in any order; the same text must give the same answer.
            faults.sort();
            faults.dedup();
            return Err(faults);
        }
        let warnings = result.validation_warnings().map(|warning| {
            let at = first_label(warning);
            located(files, warning.policy_id(), at, warning.to_string())
        });
        let mut warnings: Vec<_> = warnings.collect();
        warnings.sort();
        Ok(Self {
            warnings,
            policies: all,
            schema: parsed_schema,
            hash: hash(files, schema),
        })
    }

    /// SHA-256 over names and texts, hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is allowed to stand there and is hardly meant: a policy that can never apply.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// The text of one policy, for `policy explain`.
    pub fn text(&self, id: &str) -> Option<String> {
        let policy = self.policies.policy(&PolicyId::new(id))?;
        Some(policy.to_string())
    }

    /// What is other than in `older`, a line each: `+` new, `-` gone, `~` changed.
    pub fn difference(&self, older: &Self) -> Vec<String> {
        let texts = |set: &Self| -> BTreeMap<String, String> {
            let policies = set.policies.policies();
            policies
                .map(|policy| (policy.id().to_string(), policy.to_string()))
                .collect()
        };
        let (old, new) = (texts(older), texts(self));
        let mut lines = Vec::new();
        for (id, text) in &new {
            match old.get(id) {
                None => lines.push(format!("+ {id}")),
                Some(before) if before != text => lines.push(format!("~ {id}")),
                Some(_) => {}
            }
        }
        let gone = old.keys().filter(|id| !new.contains_key(*id));
        lines.extend(gone.map(|id| format!("- {id}")));
        lines
    }

    /// Policies that would permit the action, if their conditions held.
    pub(super) fn permitting(&self, action: Action) -> Vec<String> {
        let permits = self
            .policies
            .policies()
            .filter(|policy| policy.effect() == Effect::Permit && names(policy, action));
        let mut ids: Vec<_> = permits.map(|policy| policy.id().to_string()).collect();
        ids.sort();
        ids
    }
}

fn names(policy: &Policy, action: Action) -> bool {
    let is = |uid: &cedar_policy::EntityUid| uid.id().unescaped() == action.as_str();
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.iter().any(is),
        ActionConstraint::Eq(one) => is(&one),
    }
}

/// Every policy gets the id `FILE#ID`: its `@id`, else its number in the file.
fn add_file(all: &mut Cedar, file: &str, text: &str, faults: &mut Vec<Fault>) {
    let parsed: Cedar = match text.parse() {
        Ok(parsed) => parsed,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            faults.extend(errors.iter().map(|error| {
                let at = first_label(error).unwrap_or(0);
                fault(file, text, at, error.to_string())
            }));
            return;
        }
    };
    if parsed.num_of_templates() > 0 {
        let message =
            "a policy with `?principal` or `?resource` is a template, which nothing fills";
        let at = text.find("== ?").or_else(|| text.find("in ?"));
        faults.push(fault(file, text, at.unwrap_or(0), message.to_owned()));
    }
    let mut policies: Vec<_> = parsed.policies().collect();
    // `policy2` comes before `policy10`.
    policies.sort_by_key(|policy| {
        let id = policy.id().to_string();
        (id.len(), id)
    });
    for (number, policy) in policies.into_iter().enumerate() {
        let name = policy
            .annotation("id")
            .map_or_else(|| number.to_string(), str::to_owned);
        let id = PolicyId::new(format!("{file}#{name}"));
        if all.add(policy.new_id(id)).is_err() {
            let at = text.rfind(&format!("@id(\"{name}\")")).unwrap_or(0);
            let message = format!("there are two policies with the id `{name}`");
            faults.push(fault(file, text, at, message));
        }
    }
}

fn first_label(error: &impl Diagnostic) -> Option<usize> {
    let label = error.labels()?.next()?;
    Some(label.offset())
}

fn located(files: &[(String, String)], id: &PolicyId, at: Option<usize>, message: String) -> Fault {
    let id = id.to_string();
    let (file, name) = id.split_once('#').unwrap_or((&id, ""));
    let text = files
        .iter()
        .find(|(known, _)| known == file)
        .map_or("", |(_, text)| text);
    let at = at.or_else(|| text.find(&format!("@id(\"{name}\")")));
    // The message of the library names the policy as it was told to us.
    let message = message.replace(&format!("for policy `{id}`, "), &format!("`{name}`: "));
    fault(file, text, at.unwrap_or(0), message)
}

fn fault(file: &str, text: &str, at: usize, message: String) -> Fault {
    let before = text.get(..at).unwrap_or_default();
    Fault {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        message,
    }
}

fn hash(files: &[(String, String)], schema: (&str, &str)) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let named = files
        .iter()
        .map(|(file, text)| (file.as_str(), text.as_str()));
    for (file, text) in named.chain([schema]) {
        for part in [file, text] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
    }
    hex::encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::super::SHIPPED_SCHEMA;
    use super::*;

    fn parse(text: &str) -> Result<PolicySet, Vec<Fault>> {
        PolicySet::parse(
            &[("test.cedar".to_owned(), text.to_owned())],
            ("s.cedarschema", SHIPPED_SCHEMA),
        )
    }

    #[test]
    fn faults_have_their_file_and_line() {
        let good = "@id(\"a\")\npermit (principal, action == Action::\"use\", resource);\n\n";
        for (more, line, says) in [
            ("permit (", 4, ""),
            (
                "// x\npermit (principal, action, resource) when { resource.colour };",
                5,
                "colour",
            ),
            (
                "@id(\"b\")\npermit (principal, action == Action::\"fly\", resource);",
                5,
                "fly",
            ),
            (
                "@id(\"a\")\nforbid (principal, action, resource);",
                4,
                "two policies with the id `a`",
            ),
            (
                "permit (principal == ?principal, action, resource);",
                4,
                "template",
            ),
            (
                "permit (principal, action == Action::\"shell\", resource) when { context.hour == \"9\" };",
                4,
                "",
            ),
        ] {
            let faults = parse(&format!("{good}{more}")).unwrap_err();
            let fault = &faults[0];
            assert_eq!(
                (fault.file.as_str(), fault.line),
                ("test.cedar", line),
                "{fault}"
            );
            assert!(fault.message.contains(says), "{fault}");
        }
        let schema = PolicySet::parse(&[], ("s.cedarschema", "entity A;\nentity B in [C];"));
        let fault = schema.unwrap_err().remove(0);
        assert_eq!(fault.file, "s.cedarschema");
    }

    #[test]
    fn a_policy_that_can_never_apply_is_a_warning() {
        let set = parse("permit (principal, action == Action::\"view\", resource is Bastion);");
        assert!(!set.unwrap().warnings().is_empty());
    }

    #[test]
    fn unnamed_policies_are_numbered_as_they_stand() {
        let text = "permit (principal, action == Action::\"use\", resource);\n".repeat(12);
        let set = parse(&text).unwrap();
        let text = set.text("test.cedar#11").unwrap();
        assert!(text.contains("use"));
    }

    #[test]
    fn a_difference_names_policies() {
        let one = parse("@id(\"a\") permit (principal, action, resource);").unwrap();
        let two = parse(
            "@id(\"a\") forbid (principal, action, resource);\n@id(\"b\") permit (principal, action, resource);",
        )
        .unwrap();
        assert_eq!(two.difference(&one), ["~ test.cedar#a", "+ test.cedar#b"]);
        assert_eq!(one.difference(&two), ["~ test.cedar#a", "- test.cedar#b"]);
    }
}
