//! A fleet of its own for a test, and how it is driven.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heyun::sandbox::{self, Options, Sandbox};
use heyun_sandbox::{Kubectl, built_binary, built_keeper};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Longest time for anything to come about.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// Waits until no other test of this process has a fleet.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURNS: Mutex<()> = Mutex::new(());
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fleet; no other test of this process has one at the same time.
pub(crate) struct Ground {
    pub(crate) sandbox: Sandbox,
    pub(crate) runtime: Runtime,
    _turn: MutexGuard<'static, ()>,
}

impl Ground {
    /// Hub and the three members of the examples, with the province's flavors, tenants, quotas.
    pub(crate) fn with_province() -> Self {
        let ground = Self::new();
        for file in ["10-flavors.yaml", "20-tenants.yaml", "30-quotas.yaml"] {
            ground
                .hub()
                .run(&["apply", "-f", &example(file)])
                .expect("the examples are accepted");
        }
        ground.province_is_ready();
        ground
            .hub()
            .run(&["apply", "-f", &example("40-placements.yaml")])
            .expect("placements");
        ground
    }

    /// Hub and the three members of the examples.
    pub(crate) fn new() -> Self {
        let turn = alone();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let hub = built_binary("heyun-hub").expect("the hub is built");
        let options = Options::new(built_keeper().expect("the keeper is built"), hub);
        let sandbox = runtime
            .block_on(sandbox::up(options.expect("options")))
            .expect("a sandbox");
        Self {
            sandbox,
            runtime,
            _turn: turn,
        }
    }

    pub(crate) fn province_is_ready(&self) {
        for kind in ["tenants", "quotas"] {
            let args = [
                "wait",
                "--for=condition=Ready",
                kind,
                "--all",
                "--timeout=120s",
            ];
            self.hub().run(&args).unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// The hub's kubectl, as administrator.
    pub(crate) fn hub(&self) -> &Kubectl {
        self.cluster("hub")
    }

    /// A cluster's kubectl, as administrator.
    pub(crate) fn cluster(&self, name: &str) -> &Kubectl {
        self.sandbox
            .fleet()
            .cluster(name)
            .expect("a cluster of the fleet")
            .kubectl()
    }

    /// Names of the hub and the members.
    pub(crate) fn clusters(&self) -> Vec<String> {
        let all = self.sandbox.fleet().clusters().iter();
        all.map(|cluster| cluster.name().to_owned()).collect()
    }

    /// Waits; the panic says for what, what was seen last and where the logs are.
    pub(crate) fn eventually<T>(&self, what: &str, check: impl FnMut() -> Result<T, String>) -> T {
        self.sandbox
            .fleet()
            .eventually(what, SOON, check)
            .unwrap_or_else(|error| {
                self.sandbox.fleet().keep_logs();
                panic!("{error}")
            })
    }

    /// An object of the hub.
    pub(crate) fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let mut args = vec!["get", kind, name];
        if !namespace.is_empty() {
            args.extend(["-n", namespace]);
        }
        self.hub().json(&args).map_err(|e| e.to_string())
    }

    /// Waits until a Workload is Ready in its present generation, with this many replicas ready.
    pub(crate) fn ready(&self, namespace: &str, name: &str, replicas: Option<u32>) -> Value {
        self.eventually(&format!("workload {namespace}/{name} to be ready"), || {
            let object = self.get("workload", namespace, name)?;
            let ready = condition(&object, "Ready");
            let current = ready["observedGeneration"] == object["metadata"]["generation"];
            let shown = object["status"]["summary"]["replicas"]
                .as_str()
                .unwrap_or_default();
            let enough = replicas.is_none_or(|n| shown == format!("{n}/{n}"));
            if ready["status"] == "True" && current && enough {
                Ok(object)
            } else {
                Err(object["status"].to_string())
            }
        })
    }

    /// Writes a Workload of these manifests, and the Secrets among them.
    pub(crate) fn deploy(&self, namespace: &str, name: &str, manifests: &[Value], rest: &Value) {
        let is_secret = |manifest: &&Value| manifest["kind"] == "Secret";
        for secret in manifests.iter().filter(is_secret) {
            let mut secret = secret.clone();
            secret["metadata"]["namespace"] = namespace.into();
            self.hub()
                .apply(&secret.to_string())
                .expect("a Secret is accepted");
        }
        let others: Vec<&Value> = manifests.iter().filter(|m| !is_secret(m)).collect();
        let mut spec = json!({"manifests": others});
        for (field, value) in rest.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let workload = json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "Workload",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        });
        self.hub()
            .apply(&workload.to_string())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// A condition of an object, or null.
pub(crate) fn condition(object: &Value, type_: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter()
        .flatten()
        .find(|c| c["type"] == type_)
        .cloned()
        .unwrap_or_default()
}

/// Path of an example.
pub(crate) fn example(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    root.join("examples").join(file).display().to_string()
}

/// The documents of an example.
pub(crate) fn manifests(file: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = std::fs::read_to_string(example(file)).expect("the example is there");
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("the example is YAML"))
        .collect()
}

/// A Deployment.
pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
                "name": "main", "image": "registry.gov.example/x:1",
                "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
            }]}},
        },
    })
}

/// Progress, past libtest's capture.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "chaos: {line}");
}

/// Numbers that look random and are the same in every run (a linear congruence).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// A number from 0 to `below` − 1.
    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}
