//! The published schema: docs/schema/v1.json, made from the types. A stale one fails here;
//! `PORTCULLIS_BLESS=1 cargo test --lib schema` writes it anew.

use super::{Audit, Envelope, Frame, VERSION};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

const HOW: &str = "PORTCULLIS_BLESS=1 cargo test --lib schema";

#[test]
fn the_schema_in_docs_is_that_of_the_types() {
    let name = format!("schema/v{VERSION}.json");
    let wanted = serde_json::to_string_pretty(&line_schema()).unwrap() + "\n";
    if blessed() {
        fs::create_dir_all(docs("schema")).unwrap();
        fs::write(docs(&name), &wanted).unwrap();
    }
    let found = fs::read_to_string(docs(&name)).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    assert!(
        found == wanted,
        "docs/{name} is stale, first at {differs:?}. Is that kind published already? Then its \
         meaning must not change (docs/recording-format.md). Else: {HOW}"
    );
}

/// Text cannot be generated, but it can be missed.
#[test]
fn the_format_document_names_every_kind() {
    let Ok(document) = fs::read_to_string(docs("recording-format.md")) else {
        panic!("docs/recording-format.md is the contract");
    };
    let mut missing = kinds(&line_schema());
    missing.retain(|kind| !document.contains(&format!("`{kind}`")));
    assert!(
        missing.is_empty(),
        "docs/recording-format.md does not say what these kinds mean: {missing:?}"
    );
}

/// What an auditor is told to look for must be there to be found.
#[test]
fn the_table_of_controls_names_kinds_that_exist() {
    let page = fs::read_to_string(docs("auditor.md")).unwrap();
    let table = page.split("| asked by |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut named = 0;
    for row in rows {
        let kinds = row.split('|').nth(3).unwrap();
        for kind in kinds.split('`').skip(1).step_by(2) {
            assert!(super::KINDS.contains(&kind), "no kind `{kind}`: {row}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named}");
    for standard in ["CC6", "CC7", "A.5.15", "A.8.15", "10.2", "AU-2", "AU-12"] {
        assert!(table.contains(standard), "nothing for {standard}");
    }
}

#[test]
fn the_names_are_those_of_the_types() {
    let mut named = kinds(&line_schema());
    named.sort();
    assert_eq!(named, super::KINDS);
}

#[expect(clippy::disallowed_methods, reason = "a test is asked by its caller")]
fn blessed() -> bool {
    std::env::var("PORTCULLIS_BLESS").is_ok()
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// The names of all kinds, from the schema itself.
fn kinds(schema: &Value) -> Vec<String> {
    let cases = schema["allOf"].as_array().unwrap().iter();
    let name = |case: &Value| {
        let kind = &case["if"]["properties"]["kind"]["const"];
        kind.as_str().unwrap().to_owned()
    };
    cases.map(name).collect()
}

/// The envelope, and for each kind what it adds. A kind that is not known passes: readers do the
/// same.
fn line_schema() -> Value {
    let mut line = object::<Envelope>();
    let mut definitions = Map::new();
    take_definitions(&mut line, &mut definitions);
    line["properties"]["v"]["const"] = VERSION.into();

    let mut audit = object::<Audit>();
    let mut frame = object::<Frame>();
    take_definitions(&mut audit, &mut definitions);
    take_definitions(&mut frame, &mut definitions);
    let (events, frames) = (variants(&mut audit), variants(&mut frame));
    definitions.insert("Audit".to_owned(), audit.into());

    let mut cases = Vec::new();
    for (variant, is_audit) in events
        .into_iter()
        .map(|variant| (variant, true))
        .chain(frames.into_iter().map(|variant| (variant, false)))
    {
        let kind = variant["properties"]["kind"]["const"].clone();
        let name = kind.as_str().unwrap().to_owned();
        let mut definition = variant;
        // In the envelope already.
        definition["properties"]
            .as_object_mut()
            .unwrap()
            .remove("kind");
        definition["required"]
            .as_array_mut()
            .unwrap()
            .retain(|field| field != "kind");
        if is_audit {
            definition["allOf"] = json!([{"$ref": "#/$defs/Audit"}]);
        }
        let twice = definitions.insert(name.clone(), definition);
        assert!(twice.is_none(), "two definitions of `{name}`");
        cases.push(json!({
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"$ref": format!("#/$defs/{name}")},
        }));
    }
    line.insert(
        "title".to_owned(),
        "A line of a Portcullis recording".into(),
    );
    line.insert("allOf".to_owned(), cases.into());
    definitions.sort_keys();
    line.insert("$defs".to_owned(), definitions.into());
    line.into()
}

/// As we write lines, which is stricter than as we read them.
fn object<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let Value::Object(object) = schema.to_value() else {
        panic!("the schema of a struct is an object");
    };
    object
}

fn take_definitions(schema: &mut Map<String, Value>, into: &mut Map<String, Value>) {
    if let Some(Value::Object(definitions)) = schema.remove("$defs") {
        into.extend(definitions);
    }
}

fn variants(schema: &mut Map<String, Value>) -> Vec<Value> {
    for name in ["$schema", "title", "type"] {
        schema.remove(name);
    }
    let Some(Value::Array(variants)) = schema.remove("oneOf") else {
        panic!("a tagged enum is one of its variants");
    };
    variants
}
