//! Holds a line of a record to `record.schema.json`, by the part of JSON Schema that this file uses.

use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

use super::SCHEMA;

/// The schema as it lies in the repository.
const TEXT: &str = include_str!("../../record.schema.json");

/// Parsed once. A text that is none would make every line wrong, which the tests rule out.
static PARSED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).unwrap_or(Value::Bool(false)));

/// What is wrong with a line, and at which of its fields: `environment.cores`, `latencies[3][1]`, or nothing for the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) field: String,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is no JSON, as the parser says.
    NotJson(String),
    /// The line has this schema, and not the one that this program reads.
    OtherSchema(String),
    Missing,
    /// A field that the schema does not know.
    Unknown,
    Wrong {
        expected: String,
        found: String,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "field `{}`: ", self.field)?;
        }
        match &self.why {
            Why::NotJson(error) => write!(f, "no JSON: {error}"),
            Why::OtherSchema(found) => {
                write!(f, "schema {found}; this program reads schema {SCHEMA}")
            }
            Why::Missing => f.write_str("it is missing"),
            Why::Unknown => f.write_str("the schema has no such field"),
            Why::Wrong { expected, found } => write!(f, "expected {expected}, found {found}"),
        }
    }
}

type Verdict = Result<(), Objection>;

/// Parses one line of a record and holds it to the schema.
pub(crate) fn parse(text: &str) -> Result<Value, Objection> {
    let object = |why| Objection { field: String::new(), why };
    let line: Value =
        serde_json::from_str(text).map_err(|error| object(Why::NotJson(error.to_string())))?;
    // Before anything else: a line of another version has other fields, and complaints about them would mislead.
    if let Some(Value::Number(found)) = line.get("schema")
        && found.as_u64() != Some(u64::from(SCHEMA))
    {
        let why = Why::OtherSchema(found.to_string());
        return Err(Objection { field: "schema".to_owned(), why });
    }
    check(&PARSED, &line, "")?;
    Ok(line)
}

/// Holds `value`, which is the field `at`, to a schema or a part of one.
fn check(schema: &Value, value: &Value, at: &str) -> Verdict {
    let Some(rules) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { wrong("nothing", value, at) };
    };
    // First, since a field that is missing says more than one that has taken its place.
    if let Some(names) = rules.get("required") {
        required(names, value, at)?;
    }
    for (rule, given) in rules {
        match rule.as_str() {
            "$ref" => check(definition(given), value, at)?,
            "type" => of_type(given, value, at)?,
            "const" if given != value => return wrong(&given.to_string(), value, at),
            "enum" if !list(given).contains(value) => {
                let allowed: Vec<String> = list(given).iter().map(Value::to_string).collect();
                return wrong(&format!("one of {}", allowed.join(", ")), value, at);
            }
            "minimum" if value.as_f64() < given.as_f64() && value.is_number() => {
                return wrong(&format!("{given} or more"), value, at);
            }
            "minItems" if length(value) < given.as_u64() => {
                return wrong(&format!("{given} or more items"), value, at);
            }
            "maxItems" if length(value) > given.as_u64() => {
                return wrong(&format!("{given} items at most"), value, at);
            }
            "properties" => properties(given, value, at)?,
            "additionalProperties" => others(rules.get("properties"), given, value, at)?,
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(given, item, &format!("{at}[{place}]"))?;
                }
            }
            "anyOf" => any(given, value, at)?,
            "allOf" => list(given).iter().try_for_each(|part| check(part, value, at))?,
            "if" if check(given, value, at).is_ok() => {
                check(rules.get("then").unwrap_or(&Value::Bool(true)), value, at)?;
            }
            // What describes, what belongs to another rule, and what is fulfilled.
            _ => {}
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

/// What `#/$defs/name` refers to.
fn definition(reference: &Value) -> &'static Value {
    let name = reference.as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    name.and_then(|name| PARSED.get("$defs")?.get(name)).unwrap_or(&Value::Bool(false))
}

fn wrong(expected: &str, found: &Value, at: &str) -> Verdict {
    let found = found.to_string();
    // By characters: a cut in the middle of one would panic.
    let short: String = found.chars().take(60).collect();
    let found = if short.len() < found.len() { format!("{short}…") } else { short };
    Err(Objection {
        field: at.to_owned(),
        why: Why::Wrong { expected: expected.to_owned(), found },
    })
}

fn of_type(given: &Value, value: &Value, at: &str) -> Verdict {
    let names: Vec<&str> = match given {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    if names.iter().any(is) { Ok(()) } else { wrong(&names.join(" or "), value, at) }
}

fn inside(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn required(given: &Value, value: &Value, at: &str) -> Verdict {
    let Some(fields) = value.as_object() else { return Ok(()) };
    let missing =
        list(given).iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
    missing.map_or(Ok(()), |name| Err(Objection { field: inside(at, name), why: Why::Missing }))
}

fn properties(given: &Value, value: &Value, at: &str) -> Verdict {
    for (name, schema) in given.as_object().into_iter().flatten() {
        if let Some(field) = value.get(name) {
            check(schema, field, &inside(at, name))?;
        }
    }
    Ok(())
}

/// Fields that `known` does not name.
fn others(known: Option<&Value>, given: &Value, value: &Value, at: &str) -> Verdict {
    for (name, field) in value.as_object().into_iter().flatten() {
        if known.is_some_and(|known| known.get(name).is_some()) {
            continue;
        }
        if given == &Value::Bool(false) {
            return Err(Objection { field: inside(at, name), why: Why::Unknown });
        }
        check(given, field, &inside(at, name))?;
    }
    Ok(())
}

/// The first alternative's objection, if no alternative fits.
fn any(given: &Value, value: &Value, at: &str) -> Verdict {
    let mut outcomes = list(given).iter().map(|part| check(part, value, at));
    let first = outcomes.next().unwrap_or(Ok(()));
    if first.is_ok() || outcomes.any(|outcome| outcome.is_ok()) { Ok(()) } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [&str; 14] = [
        "$ref",
        "type",
        "const",
        "enum",
        "minimum",
        "minItems",
        "maxItems",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "anyOf",
        "allOf",
        "if",
    ];
    /// Said to people, or read with another rule.
    const OTHERS: [&str; 5] = ["$schema", "title", "description", "$defs", "then"];

    fn sample() -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sample.jsonl");
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    /// Calls `each` with every schema in a schema.
    fn walk(schema: &Value, each: &mut impl FnMut(&serde_json::Map<String, Value>)) {
        let Some(rules) = schema.as_object() else { return };
        each(rules);
        for (rule, given) in rules {
            match rule.as_str() {
                "properties" | "$defs" => {
                    given.as_object().unwrap().values().for_each(|part| walk(part, each));
                }
                "anyOf" | "allOf" => list(given).iter().for_each(|part| walk(part, each)),
                "items" | "additionalProperties" | "if" | "then" => walk(given, each),
                _ => {}
            }
        }
    }

    #[test]
    fn the_schema_has_no_rule_that_is_not_checked() {
        walk(&PARSED, &mut |rules| {
            for rule in rules.keys() {
                let known = RULES.contains(&rule.as_str()) || OTHERS.contains(&rule.as_str());
                assert!(known, "{rule} is not checked");
            }
            if let Some(reference) = rules.get("$ref") {
                assert!(definition(reference).is_object(), "{reference} leads nowhere");
            }
        });
        assert_eq!(PARSED["$defs"]["version"]["const"], SCHEMA);
    }

    #[test]
    fn no_field_can_be_left_out_renamed_or_of_another_type() {
        for text in sample() {
            let line = parse(&text).unwrap_or_else(|objection| panic!("{objection}: {text}"));
            for (name, field) in line.as_object().unwrap() {
                let optional = ["note", "build", "memory", "budget"].contains(&name.as_str());
                let mut broken = line.clone();
                broken.as_object_mut().unwrap().remove(name);
                let objection = parse(&broken.to_string());
                assert_eq!(objection.is_ok(), optional, "{name}: {text}");
                broken[name] = if field.is_array() { Value::from(1) } else { Value::from(vec![1]) };
                assert_eq!(parse(&broken.to_string()).unwrap_err().field, *name, "{text}");
                let mut more = line.clone();
                more[format!("{name}_")] = field.clone();
                assert!(parse(&more.to_string()).is_err(), "{name}_: {text}");
            }
        }
    }

    #[test]
    fn objections_name_the_field_and_what_was_expected() {
        let run = sample().swap_remove(0);
        let cases = [
            (
                run.replace("\"cores\":2", "\"cores\":-2"),
                "field `environment.cores`: expected 0 or more",
            ),
            (
                run.replace("\"cores\":2", "\"cores\":2.5"),
                "field `environment.cores`: expected integer",
            ),
            (
                run.replace("\"schema\":3", "\"schema\":2"),
                "field `schema`: schema 2; this program reads",
            ),
            (
                run.replace("\"kind\":\"run\"", "\"kind\":\"ran\""),
                "field `kind`: expected one of \"run\"",
            ),
            (run[..run.len() - 9].to_owned(), "no JSON"),
            (run.replace("\"cpu\":", "\"gpu\":"), "field `environment.cpu`: it is missing"),
            ("[1]".to_owned(), "expected object, found [1]"),
        ];
        for (text, expected) in cases {
            let objection = parse(&text).unwrap_err().to_string();
            assert!(objection.contains(expected), "{objection}");
        }
        let cell = sample().into_iter().find(|line| line.contains("\"latencies\":[[")).unwrap();
        let broken = cell.replacen("\"latencies\":[[", "\"latencies\":[[3,4,5],[", 1);
        assert_eq!(parse(&broken).unwrap_err().field, "latencies[0]");
    }
}
