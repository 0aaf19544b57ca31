//! What is generated is what is committed, small enough, explained, and checked by cases.

#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read the committed files")]

use heyun_crds::{all_crds, generate, rules};
use serde_json::Value;
use std::path::Path;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn committed_files_equal_generated_ones() {
    for (path, content) in generate::all() {
        let file = workspace().join(&path);
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == content,
            "{} is not what the types say: run `{}` and commit it",
            path.display(),
            generate::COMMAND
        );
    }
    let folder = workspace().join("charts/heyun-crds/templates");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let known = generate::all().keys().any(|p| workspace().join(p) == path);
        assert!(known, "{} belongs to no kind: delete it", path.display());
    }
}

#[test]
fn definitions_stay_small() {
    let mut sum = 0;
    for (path, content) in generate::all() {
        if path.starts_with("charts") {
            assert!(
                content.len() <= 64_000,
                "{} has {} bytes",
                path.display(),
                content.len()
            );
            sum += content.len();
        }
    }
    assert!(sum <= 512_000, "all definitions have {sum} bytes");
}

#[test]
fn definitions_are_no_helm_templates() {
    for (path, content) in generate::all() {
        assert!(
            !content.contains("{{"),
            "{} has an action of a template",
            path.display()
        );
        if path.starts_with("charts") {
            assert!(
                content.contains("helm.sh/resource-policy: keep"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn every_field_is_explained() {
    for crd in all_crds() {
        let value = serde_json::to_value(&crd).unwrap();
        let root = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        // A kind that only people write has no status.
        let parts = ["spec", "status"].into_iter();
        for part in parts.filter(|part| root["properties"].get(part).is_some()) {
            explained(
                &format!("{}.{part}", crd.spec.names.kind),
                &root["properties"][part],
            );
        }
    }
}

fn explained(path: &str, schema: &Value) {
    let text = schema["description"].as_str().unwrap_or_default();
    assert!(text.len() > 3, "{path} has no doc comment");
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        explained(&format!("{path}.{name}"), field);
    }
    for inner in ["items", "additionalProperties"] {
        for (name, field) in schema[inner]["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            explained(&format!("{path}[].{name}"), field);
        }
    }
}

#[test]
fn no_format_is_unknown_to_the_api_server() {
    const KNOWN: &[&str] = &["int32", "int64", "date-time"];
    fn walk(path: &str, value: &Value) {
        if let Some(format) = value["format"].as_str() {
            assert!(KNOWN.contains(&format), "{path}: format {format}");
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), inner);
        }
    }
    for crd in all_crds() {
        walk(
            &crd.spec.names.kind,
            &serde_json::to_value(&crd).unwrap()["spec"]["versions"][0]["schema"],
        );
    }
}

/// Each rule names, in its message, words that a case of `admission.yaml` expects.
#[test]
fn every_rule_has_a_case() {
    let text = include_str!("admission.yaml");
    let cases: Vec<Value> = serde_yaml::from_str(text).unwrap();
    let mut missing = Vec::new();
    for (kind, rule) in rules::all() {
        let shown = if rule.expression.is_empty() {
            rule.message
        } else {
            rule.expression
        };
        let covered = cases
            .iter()
            .filter(|case| case["object"]["kind"] == kind)
            .filter_map(|case| case["refused"].as_str())
            .any(|refused| pieces(shown).any(|piece| refused.contains(&piece)));
        if !covered {
            missing.push(format!("{kind} {}: {shown}", rule.at));
        }
    }
    assert!(
        missing.is_empty(),
        "no case of crds/tests/admission.yaml is refused by\n{}",
        missing.join("\n")
    );
}

/// Three words in a row, as they stand in a message or in the literals of a message expression.
fn pieces(shown: &str) -> impl Iterator<Item = String> {
    shown.split(['%', '"', '\'', '[', ']']).flat_map(|literal| {
        let words: Vec<&str> = literal.split_whitespace().collect();
        let windows: Vec<String> = words
            .windows(3.min(words.len().max(2)))
            .map(|w| w.join(" "))
            .collect();
        windows.into_iter().filter(|w| w.len() >= 8)
    })
}
