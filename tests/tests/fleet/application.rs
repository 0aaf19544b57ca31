//! An application of many shapes goes through unmodified, and what runs is what was written.

use heyun_scheduler::quantity::Quantity;
use heyun_tests::fleet::{Shared, TestTenant, documents, fleet};
use serde_json::{Map, Value};

const APPLICATION: &str = include_str!("application.yaml");

/// Differences that `heyun_plan::render` documents; `TEMPLATE` is any pod template.
const DOCUMENTED: &[&str] = &[
    "metadata.namespace",
    "metadata.labels.heyun.dev/work",
    "metadata.labels.heyun.dev/workload",
    "metadata.labels.app.kubernetes.io/managed-by",
    "metadata.annotations.heyun.dev/decision",
    "metadata.annotations.heyun.dev/epoch",
    "metadata.annotations.heyun.dev/component",
    "metadata.annotations.heyun.dev/charge",
    "metadata.annotations.heyun.dev/applied-hash",
    "spec.replicas",
    "spec.ordinals.start",
    "spec.parallelism",
    "spec.completions",
    "spec.minReplicas",
    "spec.maxReplicas",
    "spec.ingressClassName",
    "TEMPLATE.metadata.labels.heyun.dev/work",
    "TEMPLATE.metadata.labels.heyun.dev/component",
    "TEMPLATE.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
    "TEMPLATE.spec.tolerations",
];

#[test]
fn an_application_of_many_shapes_is_ready_and_equals_its_input() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-application", 100);
    let ns = tenant.name.as_str();
    let placement = format!(
        "apiVersion: heyun.dev/v1alpha1\nkind: Placement\nmetadata: {{name: spread, namespace: {ns}}}\n\
         spec: {{division: {{type: ByCapacity}}}}\n"
    );
    shared.hub().apply(&placement).unwrap();
    shared.deploy(ns, "shop", APPLICATION, Some("spread"));
    let ready = shared.ready(ns, "shop");
    let members: Vec<&str> = ready["status"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert!(
        members.len() > 1,
        "divided by capacity, but on {members:?} alone"
    );

    let mut wrong = Vec::new();
    let mut inputs = Vec::new();
    for document in documents(APPLICATION) {
        match document["items"].as_array() {
            Some(items) => inputs.extend(items.clone()),
            None => inputs.push(document),
        }
    }
    for input in &inputs {
        let (kind, name) = (
            input["kind"].as_str().unwrap(),
            input["metadata"]["name"].as_str().unwrap(),
        );
        let mut copies = Vec::new();
        for member in &members {
            if let Some(object) = on_member(shared, member, ns, kind, name) {
                compare(
                    &format!("{member} {kind}/{name}"),
                    input,
                    &object,
                    &mut wrong,
                );
                copies.push(object);
            }
        }
        if copies.is_empty() {
            wrong.push(format!("{kind}/{name} is on no member"));
        }
        if kind != "HorizontalPodAutoscaler" && name != "checkout" {
            sums(&format!("{kind}/{name}"), input, &copies, &mut wrong);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for member in &members {
        no_pod_reaches_its_node(shared, member, ns);
    }
}

/// The member itself refuses a tenant's pod that would reach its node: the wall is the pod security
/// standard of the namespace, and it says so.
fn no_pod_reaches_its_node(shared: &Shared, member: &str, ns: &str) {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: intruder}\nspec:\n  \
               containers: [{name: main, image: x, securityContext: {privileged: true}}]\n  \
               volumes: [{name: node, hostPath: {path: /}}]\n";
    let args = ["create", "--dry-run=server", "-n", ns, "-f", "-"];
    let said = match shared.member(member).run_with(&args, pod) {
        Ok(said) => panic!("{member} takes a privileged pod: {said}"),
        Err(refusal) => refusal.to_string(),
    };
    for part in ["violates PodSecurity \"baseline", "privileged", "hostPath"] {
        assert!(said.contains(part), "{member}: {said}");
    }
}

fn on_member(shared: &Shared, member: &str, ns: &str, kind: &str, name: &str) -> Option<Value> {
    let args = [
        "get",
        kind,
        name,
        "-n",
        ns,
        "--show-managed-fields",
        "--ignore-not-found",
        "-o",
        "json",
    ];
    let text = shared.member(member).run(&args).unwrap();
    (!text.trim().is_empty()).then(|| serde_json::from_str(&text).unwrap())
}

/// Replicas are divided, none is lost and none is added.
fn sums(what: &str, input: &Value, copies: &[Value], wrong: &mut Vec<String>) {
    let field = match input["kind"].as_str().unwrap() {
        "Deployment" | "StatefulSet" => "replicas",
        "Job" => "completions",
        _ => return,
    };
    let wanted = input["spec"][field].as_i64().unwrap_or(1);
    let sum: i64 = copies
        .iter()
        .map(|copy| copy["spec"][field].as_i64().unwrap_or(1))
        .sum();
    if sum != wanted {
        wrong.push(format!("{what}: {field} is {wanted}, on the members {sum}"));
    }
}

fn compare(what: &str, input: &Value, object: &Value, wrong: &mut Vec<String>) {
    let mut found = Vec::new();
    if input["kind"] == "Secret" {
        // Its payload is written in another form than it is kept.
        found.extend((input["type"] != object["type"]).then(|| "type differs".to_owned()));
    } else {
        differences("", input, object, &mut found);
        if input["kind"] == "Ingress" && object["spec"]["ingressClassName"] != "nginx" {
            found.push("the class is not the member's".to_owned());
        }
    }
    let manager = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] == "heyun" && entry["operation"] == "Apply");
    let mut entries = 0;
    for entry in manager {
        entries += 1;
        if input["kind"] != "Secret" {
            beyond(
                "",
                entry["fieldsV1"].as_object().unwrap(),
                Some(input),
                &mut found,
            );
        }
    }
    if entries != 1 {
        found.push(format!("{entries} entries of manager heyun"));
    }
    wrong.extend(found.into_iter().map(|line| format!("{what}: {line}")));
}

/// Fields of the input that the object does not have as they were written.
fn differences(path: &str, input: &Value, object: &Value, found: &mut Vec<String>) {
    if documented(path) || path == "status" || path == "metadata.creationTimestamp" {
        return;
    }
    match (input, object) {
        (Value::Object(input), Value::Object(object)) => {
            for (key, value) in input.iter().filter(|(_, value)| !value.is_null()) {
                differences(
                    &join(path, key),
                    value,
                    object.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        // An empty map may be left out.
        (Value::Object(input), Value::Null) if input.is_empty() => {}
        (Value::Array(input), Value::Array(object)) if input.len() == object.len() => {
            for (index, (input, object)) in input.iter().zip(object).enumerate() {
                differences(&join(path, &index.to_string()), input, object, found);
            }
        }
        _ if input == object || same_quantity(input, object) => {}
        _ => found.push(format!("{path} is {object}, written was {input}")),
    }
}

/// An API server writes quantities in their canonical form.
fn same_quantity(left: &Value, right: &Value) -> bool {
    let read = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    let milli = |value: &Value| read(value).and_then(|quantity| quantity.milli_rounded_up().ok());
    milli(left).is_some_and(|left| Some(left) == milli(right))
}

/// Fields that we own and that are neither in the input nor documented.
fn beyond(path: &str, owned: &Map<String, Value>, input: Option<&Value>, found: &mut Vec<String>) {
    if documented(path) {
        return;
    }
    if owned.is_empty() {
        if input.is_none() {
            found.push(format!("{path} is ours, and in neither input nor list"));
        }
        return;
    }
    for (key, below) in owned.iter().filter(|(key, _)| key.as_str() != ".") {
        let (kind, name) = key.split_once(':').unwrap();
        let next = match kind {
            "f" => input.and_then(|input| input.get(name)),
            "k" => input
                .and_then(Value::as_array)
                .and_then(|items| items.iter().find(|item| has_key(item, name))),
            "v" => {
                let value: Value = serde_json::from_str(name).unwrap();
                input
                    .and_then(Value::as_array)
                    .and_then(|items| items.iter().find(|item| **item == value))
            }
            _ => panic!("managed field {key}"),
        };
        beyond(&join(path, name), below.as_object().unwrap(), next, found);
    }
}

/// Whether this item of a list is meant by a key; a protocol that is not written is TCP.
fn has_key(item: &Value, key: &str) -> bool {
    let key: Map<String, Value> = serde_json::from_str(key).unwrap();
    key.iter().all(|(field, value)| match item.get(field) {
        None => field == "protocol" && value == "TCP",
        Some(written) => written == value,
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn documented(path: &str) -> bool {
    let short = ["spec.jobTemplate.spec.template", "spec.template"]
        .into_iter()
        .find_map(|template| {
            path.strip_prefix(template)
                .map(|rest| format!("TEMPLATE{rest}"))
        })
        .unwrap_or_else(|| path.to_owned());
    DOCUMENTED.iter().any(|one| {
        short == *one
            || short
                .strip_prefix(one)
                .is_some_and(|rest| rest.starts_with('.'))
    })
}
