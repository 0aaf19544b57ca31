//! One fleet for all tests of a process: hub and three members of the examples, each test in a
//! tenant of its own.
//!
//! Tests share the fleet side by side; what counts every write of the hub takes it [`alone`].

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use heyun::sandbox::{self, Options, Sandbox};
use heyun_sandbox::{Cluster, Kubectl, built_binary, built_keeper};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::registry;

/// Longest time for anything to come about.
pub const SOON: Duration = Duration::from_mins(2);

/// The account that the hub writes as.
pub const HUB_USER: &str = "system:serviceaccount:heyun-system:heyun-hub";

const FLAVORS: &str = include_str!("../../examples/10-flavors.yaml");

/// The shared fleet.
pub struct Shared {
    /// Hub and members.
    pub sandbox: Sandbox,
    /// Where its clients live.
    pub runtime: Runtime,
    /// `heyun`.
    pub cli: PathBuf,
    /// Host of the one registry that the hub asks; whoever starts it there says what it holds.
    pub registry: String,
}

/// Who may use the fleet now.
static TURNS: RwLock<()> = RwLock::new(());

/// The fleet, together with the other tests.
pub fn fleet() -> (&'static Shared, RwLockReadGuard<'static, ()>) {
    let turn = TURNS.read().unwrap_or_else(PoisonError::into_inner);
    (shared(), turn)
}

/// The fleet, while no other test uses it.
pub fn alone() -> (&'static Shared, RwLockWriteGuard<'static, ()>) {
    let turn = TURNS.write().unwrap_or_else(PoisonError::into_inner);
    (shared(), turn)
}

fn shared() -> &'static Shared {
    // Never dropped: the keeper ends the fleet with this process.
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(start)
}

fn start() -> Shared {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let hub = built_binary("heyun-hub").expect("the hub is built");
    let cli = built_binary("heyun").expect("the CLI is built");
    let mut options =
        Options::new(built_keeper().expect("the keeper is built"), hub).expect("options");
    // The hub reads it when it starts, and never again.
    let registry = registry::address();
    let registries = tempfile::NamedTempFile::new().expect("a file");
    let listed = format!("unlisted: Skip\nregistries: [{{host: '{registry}', insecure: true}}]\n");
    std::fs::write(registries.path(), listed).expect("a configuration of registries");
    if let Some(hub) = &mut options.hub {
        let path = registries.path().display();
        hub.args.push(format!("--registries={path}"));
    }
    let sandbox = runtime
        .block_on(sandbox::up(options))
        .expect("the sandbox starts");
    let shared = Shared {
        sandbox,
        runtime,
        cli,
        registry,
    };
    shared.hub().apply(FLAVORS).expect("flavors are accepted");
    shared
}

impl Shared {
    /// The hub's kubectl, as administrator.
    pub fn hub(&self) -> &Kubectl {
        self.cluster("hub").kubectl()
    }

    /// A cluster by name.
    pub fn cluster(&self, name: &str) -> &Cluster {
        self.sandbox
            .fleet()
            .cluster(name)
            .expect("a cluster of the fleet")
    }

    /// A member's kubectl, as administrator.
    pub fn member(&self, name: &str) -> &Kubectl {
        self.cluster(name).kubectl()
    }

    /// Names of the real members.
    pub fn members(&self) -> Vec<String> {
        self.sandbox.member_names()
    }

    /// Waits; the panic says for what, what was seen last and where the logs are.
    pub fn eventually<T>(&self, what: &str, check: impl FnMut() -> Result<T, String>) -> T {
        self.sandbox
            .fleet()
            .eventually(what, SOON, check)
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// An object of the hub; `Err` says why there is none.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let mut args = vec!["get", kind, name];
        if !namespace.is_empty() {
            args.extend(["-n", namespace]);
        }
        self.hub().json(&args).map_err(|e| e.to_string())
    }

    /// Waits until a condition of a Tenant, Workload … has this status and reason (empty: any),
    /// for the current generation, and answers its message.
    pub fn condition(&self, kind: &str, namespace: &str, name: &str, wanted: [&str; 3]) -> String {
        let [type_, status, reason] = wanted;
        let what = format!("{kind} {namespace}/{name} to be {type_}={status} {reason}");
        self.eventually(&what, || {
            let object = self.get(kind, namespace, name)?;
            let found = condition_of(&object, type_);
            let current = found["observedGeneration"].is_null()
                || found["observedGeneration"] == object["metadata"]["generation"];
            let reason_fits = reason.is_empty() || found["reason"] == reason;
            if found["status"] == status && reason_fits && current {
                return Ok(found["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(object["status"].to_string())
        })
    }

    /// Waits until a Workload is Ready, and answers it.
    pub fn ready(&self, namespace: &str, name: &str) -> Value {
        self.condition("workload", namespace, name, ["Ready", "True", ""]);
        self.get("workload", namespace, name)
            .expect("the Workload is there")
    }

    /// What the API server of the hub said when it refused this.
    pub fn refused(&self, yaml: &str) -> String {
        refusal(self.hub().apply(yaml), yaml)
    }

    /// Runs `heyun` against the hub.
    pub fn heyun(&self, args: &[&str]) -> Output {
        Command::new(&self.cli)
            .args(args)
            .env("KUBECONFIG", self.hub().kubeconfig())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("heyun runs")
    }

    /// Runs `heyun`, which succeeds; its standard output.
    pub fn heyun_ok(&self, args: &[&str]) -> String {
        let output = self.heyun(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "heyun {}: {said}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Deploys plain manifests as an agency does. `placement` is the name of a Placement.
    pub fn deploy(&self, namespace: &str, name: &str, yaml: &str, placement: Option<&str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, yaml).expect("the manifests are written");
        let file = file.display().to_string();
        let mut args = vec!["deploy", "-f", &file, "-n", namespace];
        if let Some(placement) = placement {
            args.extend(["--placement-ref", placement]);
        }
        self.heyun_ok(&args);
    }

    /// Pods of a namespace on every real member: member, name, uid.
    pub fn pods(&self, namespace: &str) -> BTreeSet<(String, String, String)> {
        let mut found = BTreeSet::new();
        for member in self.members() {
            let pods = self
                .member(&member)
                .json(&["get", "pods", "-n", namespace])
                .expect("pods");
            for pod in list(&pods) {
                let text = |field: &str| {
                    pod["metadata"][field]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                };
                found.insert((member.clone(), text("name"), text("uid")));
            }
        }
        found
    }
}

/// A tenant of one test: a root Region with a namespace and a quota.
pub struct TestTenant {
    /// Its name, and that of its namespace.
    pub name: String,
}

impl TestTenant {
    /// Makes it, with this much cpu per flavor (and enough of the rest), and waits for it. Its
    /// owners are the group `NAME:admins`.
    pub fn new(shared: &Shared, name: &str, cpu: u32) -> Self {
        let lines: Vec<Value> = ["general-amd64", "general-arm64", "xinchuang-arm64"]
            .into_iter()
            .flat_map(|flavor| {
                [("cpu", cpu.to_string().as_str()), ("memory", "1Ti"), ("ephemeral-storage", "1Ti")]
                    .map(|(resource, nominal)| json!({"flavor": flavor, "resource": resource, "nominal": nominal}))
            })
            .collect();
        let tenant = json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {
                "kind": "Region", "namespaces": [name],
                "owners": [{"kind": "Group", "name": format!("{name}:admins")}],
            },
        });
        let quota = json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "Quota", "metadata": {"name": name},
            "spec": {"tenant": name, "resources": lines},
        });
        shared
            .hub()
            .apply(&format!("{tenant}\n---\n{quota}"))
            .expect("tenant and quota are accepted");
        shared.condition("tenant", "", name, ["Ready", "True", ""]);
        shared.condition("quota", "", name, ["Ready", "True", ""]);
        Self {
            name: name.to_owned(),
        }
    }
}

/// Makes a member that no process stands behind: `count` nodes of one shape, an agent that never
/// reports. Its label `heyun-tests/fleet` is `label`, and its taint `heyun-tests/simulated` keeps
/// the work of other tests away.
pub fn simulated(shared: &Shared, name: &str, label: &str, count: u32, cpu: &str) {
    let hub = shared.hub();
    let namespace = format!("heyun-member-{name}");
    let taint = json!({"key": "heyun-tests/simulated", "effect": "NoSchedule"});
    let objects = [
        json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "MemberCluster",
            "metadata": {"name": name, "labels": {"heyun-tests/fleet": label}},
            "spec": {"mode": "Pull", "provider": name, "zone": "cegn-common", "taints": [taint]},
        }),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Sketch", "metadata": {"name": "sketch", "namespace": namespace}, "spec": {}}),
    ];
    hub.apply(&objects.map(|o| o.to_string()).join("\n---\n"))
        .expect("a simulated member");
    let now = "2026-01-01T00:00:00Z";
    let conditions = ["Accepted", "Ready", "Schedulable"].map(|type_| {
        json!({"type": type_, "status": "True", "reason": "Ok", "message": "", "lastTransitionTime": now})
    });
    let kinds = [
        "v1/ConfigMap",
        "v1/Pod",
        "v1/Secret",
        "v1/Service",
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
    ];
    let status = json!({"status": {"conditions": conditions, "apis": kinds, "version": "v1.36.3",
        "nodes": {"ready": count, "total": count}}});
    let free = json!({"cpu": cpu, "memory": "1Ti", "pods": "500"});
    let sketch = json!({"status": {
        "revision": {"instance": "test", "number": 1}, "nodes": count,
        "labelKeys": ["kubernetes.io/arch"],
        "shapes": [{"count": count, "flavor": "general-amd64", "labels": {"kubernetes.io/arch": "amd64"}, "free": free}],
    }});
    let patch = |args: [&str; 2], more: &[&str], body: &Value| {
        let body = body.to_string();
        let all = [
            &[
                "patch",
                args[0],
                args[1],
                "--subresource=status",
                "--type=merge",
                "-p",
                &body,
            ],
            more,
        ]
        .concat();
        hub.run(&all).expect("a status of a simulated member");
    };
    patch(["sketch", "sketch"], &["-n", &namespace], &sketch);
    patch(["membercluster", name], &[], &status);
}

/// A Deployment in one line of YAML.
pub fn deployment(name: &str, replicas: u32, cpu: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, \
         strategy: {{type: Recreate}}, selector: {{matchLabels: {{app: {name}}}}}, \
         template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: main, \
         image: registry.gov.example/x:1, resources: {{requests: {{cpu: {cpu}, memory: 64Mi}}}}}}]}}}}}}}}"
    )
}

/// A Workload with these manifests (one line of YAML each) and these further lines of the spec.
pub fn workload(namespace: &str, name: &str, manifests: &[String], more: &str) -> String {
    let mut text = format!(
        "apiVersion: heyun.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
    );
    for line in more.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("  manifests:\n");
    for manifest in manifests {
        text.push_str(&format!("  - {manifest}\n"));
    }
    text
}

/// A condition of an object; null if it has none.
pub fn condition_of(object: &Value, type_: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter()
        .flatten()
        .find(|c| c["type"] == type_)
        .cloned()
        .unwrap_or_default()
}

/// The documents of some YAML.
pub fn documents(yaml: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

/// The items of a list.
pub fn list(value: &Value) -> &[Value] {
    value["items"].as_array().map_or(&[], Vec::as_slice)
}

/// What was said when this was refused; a panic if it was not.
pub fn refusal(answer: heyun_sandbox::Result<String>, tried: &str) -> String {
    match answer {
        Ok(said) => panic!("accepted: {said}\n{tried}"),
        Err(error) => error.to_string(),
    }
}
