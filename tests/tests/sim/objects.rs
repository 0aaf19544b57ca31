//! The objects of a scenario: what is there at the beginning, and what each act writes.

use std::time::Duration;

use serde_json::{Value, json};

use super::member::{FLAVOR, Member, POD_MIB};
use super::oracle::milli;
use super::scenario::{Act, App, CLASSES, ROOT, Scenario, namespace};
use super::sim::{Sim, Who};
use super::store::{Key, Write};

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

fn object(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "heyun.dev/v1alpha1", "kind": kind, "metadata": {}, "spec": spec})
}

fn quota(tenant: &str, (guaranteed, nominal): (i64, i64), ceiling: i64) -> Value {
    let line = |resource: &str, guaranteed: String, nominal: String, ceiling: String| {
        json!({
            "flavor": FLAVOR, "resource": resource, "guaranteed": guaranteed, "nominal": nominal,
            "ceiling": ceiling,
        })
    };
    let lines = [
        line(
            "cpu",
            guaranteed.to_string(),
            nominal.to_string(),
            ceiling.to_string(),
        ),
        line("memory", "0".into(), "1000Gi".into(), "1000Gi".into()),
    ];
    json!({"tenant": tenant, "resources": lines})
}

impl Sim {
    fn make(&mut self, res: &str, namespace: &str, name: &str, object: Value) {
        let key = Key::new(res, namespace, name);
        assert!(
            self.put(Who::User, &key, Write::Create(object)),
            "{key} is new"
        );
    }

    /// Everything but Workloads.
    pub(crate) fn found(&mut self, scenario: &Scenario) {
        for value in CLASSES {
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {},
                "value": value,
            });
            self.make("priorityclasses", "", &format!("p{value}"), class);
        }
        let selector = json!({"matchLabels": {"kubernetes.io/arch": "amd64"}});
        let flavor = json!({"nodeSelector": selector, "precedence": 10});
        self.make("flavors", "", FLAVOR, object("Flavor", &flavor));
        self.oracle.parents.insert(ROOT.to_owned(), None);
        let region = json!({"kind": "Region", "adminLevel": "Provincial"});
        self.make("tenants", "", ROOT, object("Tenant", &region));
        self.make(
            "quotas",
            "",
            ROOT,
            object("Quota", &quota(ROOT, (0, scenario.root), scenario.root)),
        );
        for (number, (guaranteed, nominal)) in scenario.quotas.iter().enumerate() {
            let name = namespace(number);
            self.oracle
                .parents
                .insert(name.clone(), Some(ROOT.to_owned()));
            self.oracle.tenants.insert(name.clone(), name.clone());
            let agency = json!({
                "kind": "Agency", "adminLevel": "Provincial", "parent": ROOT, "namespaces": [name],
            });
            self.make("tenants", "", &name, object("Tenant", &agency));
            let ceiling = if scenario.lends {
                scenario.root
            } else {
                *nominal
            };
            let spec = quota(&name, (*guaranteed, *nominal), ceiling);
            self.make("quotas", "", &name, object("Quota", &spec));
        }
        for (number, nodes) in scenario.members.iter().enumerate() {
            self.join(&format!("m{number}"), nodes);
        }
    }

    fn join(&mut self, name: &str, nodes: &[i64]) {
        let spec = json!({
            "mode": "Pull", "provider": "any", "operator": "any", "location": {"region": ROOT},
            "owner": ROOT, "zone": "cegn-common", "mlps": {"level": 3, "validUntil": "2099-12-31"},
        });
        self.make("memberclusters", "", name, object("MemberCluster", &spec));
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "reason": "Healthy", "message": "",
                "observedGeneration": 1, "lastTransitionTime": LONG_AGO,
            })
        };
        let status = json!({
            "observedGeneration": 1, "version": "v1.36.3", "apis": ["apps/v1/Deployment", "batch/v1/Job", "policy/v1/PodDisruptionBudget"],
            "conditions": [condition("Accepted"), condition("Ready"), condition("Schedulable")],
        });
        let key = Key::new("memberclusters", "", name);
        self.merge_status(Who::Member, &key, status);
        let member = Member::new(name, nodes.to_vec());
        let namespace = member.namespace();
        self.make(
            "sketches",
            &namespace,
            "sketch",
            object("Sketch", &json!({})),
        );
        self.members.push(member);
    }

    /// A user's wish, or a machine's fate; false for what is not of their doing.
    pub(crate) fn act(&mut self, scenario: &Scenario, act: &Act) -> bool {
        let key = |app: &usize| {
            let app = &scenario.apps[*app];
            Key::new("workloads", &app.namespace, &app.name)
        };
        let spec = |patch: Value| Write::Merge(json!({"spec": patch}), false);
        self.note(format_args!("{act:?}"));
        match act {
            Act::Create(app) => {
                let finalized = self.random.permille(500);
                let write = Write::Create(workload(&scenario.apps[*app], finalized));
                self.put(Who::User, &key(app), write);
            }
            Act::Scale(app, replicas) => {
                self.put(Who::User, &key(app), spec(json!({"replicas": replicas})));
            }
            Act::Pin(app, member) => {
                let members =
                    member.map(|m| json!([{"name": "pin", "members": [format!("m{m}")]}]));
                let placement = json!({"placement": {"affinity": members}});
                self.put(Who::User, &key(app), spec(placement));
            }
            Act::Delete(app) => {
                self.put(Who::User, &key(app), Write::Delete(None, None));
            }
            Act::Quota(number, guaranteed, nominal) => {
                let tenant = namespace(*number);
                let write = spec(quota(&tenant, (*guaranteed, *nominal), *nominal));
                self.put(Who::User, &Key::new("quotas", "", &tenant), write);
            }
            Act::Node(member, node, up) => {
                self.members[*member].turn(*node, *up);
                // Its agent sees it, whether or not anything is written meanwhile.
                self.changed.notify_waiters();
            }
            Act::Away(member, millis) => {
                let until = tokio::time::Instant::now() + Duration::from_millis(*millis);
                self.members[*member].away = Some(until);
            }
            Act::Stall(millis) => {
                let until = tokio::time::Instant::now() + Duration::from_millis(*millis);
                if let Some(stall) = self.stalls.last_mut() {
                    *stall = until;
                }
            }
            Act::Kill(_) | Act::Takeover(_) => return false,
        }
        true
    }
}

fn workload(app: &App, finalized: bool) -> Value {
    let labels = json!({"app": app.name});
    let requests = json!({"cpu": format!("{}m", app.cpu), "memory": format!("{POD_MIB}Mi")});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": app.name, "labels": labels},
        "spec": {
            "replicas": app.replicas, "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": "main", "image": "registry.example/any:1",
                    "resources": {"requests": requests},
                }]},
            },
        },
    });
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": app.name, "labels": labels},
        "spec": {
            "parallelism": app.replicas, "completions": 2 * app.replicas,
            "ttlSecondsAfterFinished": 1,
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never",
                    "containers": deployment["spec"]["template"]["spec"]["containers"]},
            },
        },
    });
    let finalizers = if finalized {
        json!(["heyun.dev/finalizer"])
    } else {
        Value::Null
    };
    let mut manifests = vec![if app.job { job } else { deployment }];
    if let Some(keeps) = app.keeps {
        manifests.push(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app.name},
            "spec": {"minAvailable": keeps, "selector": {"matchLabels": labels}},
        }));
    }
    let class = app.priority.map(|value| format!("p{value}"));
    let placement = app.back.map(|after| {
        let term = |name: &str, member: &str| json!({"name": name, "members": [member]});
        json!({
            "affinity": [term("home", "m0"), term("away", "m1")],
            "return": {"policy": "Always", "after": format!("{after}s")},
        })
    });
    json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Workload",
        "metadata": {"name": app.name, "namespace": app.namespace, "finalizers": finalizers},
        "spec": {"manifests": manifests, "priorityClassName": class, "placement": placement},
    })
}

/// What a Workload asks for now.
pub(crate) struct Asked {
    pub(crate) replicas: i64,
    pub(crate) cpu: i64,
    pub(crate) member: Option<String>,
}

pub(crate) fn asked(workload: &Value) -> Asked {
    let spec = &workload["spec"];
    let deployment = &spec["manifests"][0]["spec"];
    let requests = &deployment["template"]["spec"]["containers"][0]["resources"]["requests"];
    let replicas = spec["replicas"]
        .as_i64()
        .or(deployment["replicas"].as_i64())
        .or(deployment["parallelism"].as_i64());
    let terms = spec["placement"]["affinity"].as_array();
    let only = terms.filter(|terms| terms.len() == 1);
    let member = only.and_then(|terms| terms[0]["members"][0].as_str());
    Asked {
        replicas: replicas.unwrap_or(1),
        cpu: milli(requests["cpu"].as_str().unwrap_or("0")),
        member: member.map(str::to_owned),
    }
}
