//! The charts, rendered by the real Helm: they lint, and what they install is what the tests run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use heyun_hub::args::Args;
use heyun_sandbox::{Cache, Progress, Tool, tool};
use serde::Deserialize;
use serde_json::Value;

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .join("charts")
}

fn helm(args: &[&str]) -> String {
    let cache = Cache::locate().expect("a cache");
    let helm = tool(&cache, Tool::Helm, &Progress::stderr()).expect("helm is built");
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(helm)
        .args(args)
        .env("HOME", home.path())
        .output()
        .expect("helm runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8(output.stdout).expect("helm prints UTF-8");
    assert!(output.status.success(), "helm {args:?}: {said}{text}");
    text
}

fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|value| !value.is_null())
        .collect()
}

fn template(chart: &str, set: &[&str]) -> Vec<Value> {
    let path = charts().join(chart);
    let mut args = vec!["template", "heyun", path.to_str().expect("UTF-8")];
    for one in set {
        args.extend(["--set", one]);
    }
    objects(&helm(&args))
}

fn key(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}

#[test]
fn both_charts_lint() {
    for chart in ["heyun", "heyun-crds"] {
        let said = helm(&[
            "lint",
            "--strict",
            charts().join(chart).to_str().expect("UTF-8"),
        ]);
        assert!(said.contains("0 chart(s) failed"), "{said}");
    }
}

/// What the sandbox installs from the files is what the chart installs: one home for both.
#[test]
fn the_chart_installs_the_roles_and_policies_that_the_tests_run_with() {
    let rendered: BTreeMap<String, Value> = template("heyun", &[])
        .into_iter()
        .map(|o| (key(&o), o))
        .collect();
    let mut compared = 0;
    for file in ["rbac.yaml", "policies.yaml", "policies-requests.yaml"] {
        let text =
            std::fs::read_to_string(charts().join("heyun/files").join(file)).expect("a file");
        for object in objects(&text) {
            let name = key(&object);
            let found = rendered
                .get(&name)
                .unwrap_or_else(|| panic!("{name} is not in the chart"));
            for part in ["rules", "roleRef", "subjects", "spec"] {
                assert_eq!(found.get(part), object.get(part), "{name}: {part}");
            }
            compared += 1;
        }
    }
    assert!(compared > 15, "only {compared} objects were compared");
}

#[test]
fn no_role_has_a_wildcard() {
    let mut rules = 0;
    let member = std::fs::read_to_string(charts().join("heyun/files/member.yaml")).expect("a file");
    for object in template("heyun", &[]).into_iter().chain(objects(&member)) {
        for rule in object["rules"].as_array().into_iter().flatten() {
            rules += 1;
            for field in ["apiGroups", "resources", "verbs"] {
                let values = rule[field].as_array().cloned().unwrap_or_default();
                assert!(
                    !values.contains(&Value::from("*")),
                    "{}: {rule}",
                    key(&object)
                );
            }
        }
    }
    assert!(rules > 20, "only {rules} rules were looked at");
}

#[test]
fn the_hub_understands_the_arguments_of_the_chart_and_is_restricted() {
    let otlp = "telemetry.otlpEndpoint=http://collector:4317";
    let all = template("heyun", &[otlp, "registries.secret=heyun-registries"]);
    let deployment = all
        .iter()
        .find(|o| o["kind"] == "Deployment")
        .expect("a Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let args = container["args"].as_array().expect("args");
    let args = args.iter().map(|a| a.as_str().expect("text").to_owned());
    let parsed = Args::try_parse_from(std::iter::once("heyun-hub".to_owned()).chain(args))
        .expect("the hub's own command line");
    assert_eq!(
        parsed.otlp_endpoint.as_deref(),
        Some("http://collector:4317")
    );
    assert!(parsed.lease_times().is_ok());
    let registries = parsed.registries.expect("a configuration of registries");
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let mount = mounts
        .iter()
        .find(|m| m["name"] == "registries")
        .expect("a mount");
    assert_eq!(
        registries.parent(),
        mount["mountPath"].as_str().map(Path::new)
    );
    let volumes = pod["volumes"].as_array().expect("volumes");
    let volume = volumes
        .iter()
        .find(|v| v["name"] == "registries")
        .expect("a volume");
    assert_eq!(volume["secret"]["secretName"], "heyun-registries");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        container["securityContext"]["allowPrivilegeEscalation"],
        false
    );
}

#[test]
fn values_that_the_schema_does_not_know_are_refused() {
    let path = charts().join("heyun");
    let cache = Cache::locate().expect("a cache");
    let helm = tool(&cache, Tool::Helm, &Progress::stderr()).expect("helm is built");
    let output = Command::new(helm)
        .args([
            "template",
            "heyun",
            path.to_str().expect("UTF-8"),
            "--set",
            "replicas=none",
        ])
        .output()
        .expect("helm runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("replicas"), "{said}");
}
