//! Requests of the hub's account by kind, as its API server counts them.
//!
//! The audit log leaves out reads, Leases and Events, and the server's counter of requests does not
//! say who asked. Its counter of flow control says by which FlowSchema a request came in. So each
//! kind of the hub's requests gets a FlowSchema, at the priority level that service accounts have
//! anyway: they are counted apart and served as before.

use std::time::Duration;

use heyun_crds::labels::{HUB_ACCOUNT, SYSTEM_NAMESPACE};
use heyun_sandbox::eventually_async;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde_json::{Value, json};

use super::Result;
use super::fixture::create;

/// Longest time until the API server counts by new FlowSchemas.
const COUNTED: Duration = Duration::from_mins(1);
/// Counter of the API server, by FlowSchema and priority level.
const METRIC: &str = "apiserver_flowcontrol_dispatched_requests_total{";
/// The priority level of service accounts where nothing else is said.
const LEVEL: &str = "workload-low";
/// Precedence of the first FlowSchema, before all that Kubernetes brings but `exempt` and probes.
const FIRST: usize = 10;

const LEASE_WRITES: &str = "bench-hub-lease-writes";
const LEASE_READS: &str = "bench-hub-lease-reads";
const EVENTS: &str = "bench-hub-events";
const WATCHES: &str = "bench-hub-watches";
const READS: &str = "bench-hub-reads";
const WRITES: &str = "bench-hub-writes";

const ANY: &[&str] = &["*"];
const WRITING: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// What a FlowSchema takes in of what those before it left.
struct Taken {
    name: &'static str,
    verbs: &'static [&'static str],
    groups: &'static [&'static str],
    resources: &'static [&'static str],
}

/// In the order in which they are tried.
const ALL: [Taken; 6] = [
    Taken {
        name: LEASE_WRITES,
        verbs: WRITING,
        groups: &["coordination.k8s.io"],
        resources: &["leases"],
    },
    Taken {
        name: LEASE_READS,
        verbs: ANY,
        groups: &["coordination.k8s.io"],
        resources: &["leases"],
    },
    Taken {
        name: EVENTS,
        verbs: WRITING,
        groups: &["", "events.k8s.io"],
        resources: &["events"],
    },
    Taken {
        name: WATCHES,
        verbs: &["watch"],
        groups: ANY,
        resources: ANY,
    },
    Taken {
        name: READS,
        verbs: &["get", "list"],
        groups: ANY,
        resources: ANY,
    },
    Taken {
        name: WRITES,
        verbs: ANY,
        groups: ANY,
        resources: ANY,
    },
];

/// How many requests of the hub's account were let in, whatever their answer. Reads of Leases are
/// left out, and so are watches: they end after some minutes, whatever happens, and begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Writes but of Leases and Events, refused and tried ones too.
    pub(super) writes: u32,
    /// Writes of Events.
    pub(super) events: u32,
    /// Gets and lists but of Leases, and paths that are no objects.
    pub(super) reads: u32,
    /// Writes of Leases.
    pub(super) lease_writes: u32,
}

impl Counts {
    /// What came after an earlier count.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            writes: self.writes.saturating_sub(before.writes),
            events: self.events.saturating_sub(before.events),
            reads: self.reads.saturating_sub(before.reads),
            lease_writes: self.lease_writes.saturating_sub(before.lease_writes),
        }
    }

    /// Every write but those of Leases.
    pub(super) fn all_writes(self) -> u32 {
        self.writes + self.events
    }

    /// From the text of the API server's metrics.
    fn read(metrics: &str) -> Self {
        let lines: Vec<&str> = metrics
            .lines()
            .filter(|line| line.starts_with(METRIC))
            .collect();
        let of = |schema: &str| -> u32 {
            let label = format!("flow_schema=\"{schema}\"");
            let ours = lines.iter().filter(|line| line.contains(&label));
            ours.filter_map(|line| value(line)).sum()
        };
        Self {
            writes: of(WRITES),
            events: of(EVENTS),
            reads: of(READS),
            lease_writes: of(LEASE_WRITES),
        }
    }
}

/// The value of a line of metrics; large ones are written as `1.2e+06`.
fn value(line: &str) -> Option<u32> {
    let (_, text) = line.rsplit_once(' ')?;
    let value: f64 = text.parse().ok()?;
    format!("{value:.0}").parse().ok()
}

/// An API server that counts the hub's requests by kind.
pub(super) struct Flows {
    client: Client,
}

impl Flows {
    /// Makes the FlowSchemas and waits until the API server counts by them.
    pub(super) async fn begin(client: Client) -> Result<Self> {
        for (number, taken) in ALL.iter().enumerate().rev() {
            let body = schema(taken, FIRST + number).to_string();
            create::<FlowSchema>(&client, None, body.as_bytes()).await?;
        }
        let flows = Self { client };
        let check = || async {
            let counts = flows.counts().await.map_err(|e| e.to_string())?;
            // The hub renews its Lease all the time, and the FlowSchema of that was made last.
            if counts.lease_writes > 0 {
                Ok(())
            } else {
                Err("no renewal of the hub's Lease was counted".to_owned())
            }
        };
        let what = "the API server to count the hub's requests";
        eventually_async(what, COUNTED, None, tokio::time::sleep, check).await?;
        Ok(flows)
    }

    /// What was counted so far.
    pub(super) async fn counts(&self) -> Result<Counts> {
        // A plain GET of this path.
        let request = Request::new("/metrics").list(&ListParams::default())?;
        let text = self.client.request_text(request).await?;
        Ok(Counts::read(&text))
    }
}

fn schema(taken: &Taken, precedence: usize) -> Value {
    // Paths that are no objects are only ever read.
    let paths = if taken.name == READS {
        json!([{"verbs": ANY, "nonResourceURLs": ANY}])
    } else {
        json!([])
    };
    json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
        "metadata": {"name": taken.name},
        "spec": {
            "priorityLevelConfiguration": {"name": LEVEL},
            "matchingPrecedence": precedence,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{
                    "kind": "ServiceAccount",
                    "serviceAccount": {"namespace": SYSTEM_NAMESPACE, "name": HUB_ACCOUNT},
                }],
                "resourceRules": [{
                    "verbs": taken.verbs, "apiGroups": taken.groups,
                    "resources": taken.resources, "namespaces": ANY, "clusterScope": true,
                }],
                "nonResourceRules": paths,
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_their_flow_schema() {
        let metrics = "\
# TYPE apiserver_flowcontrol_dispatched_requests_total counter
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"bench-hub-writes\",priority_level=\"workload-low\"} 1.234567e+06
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"bench-hub-lease-writes\",priority_level=\"workload-low\"} 7
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"service-accounts\",priority_level=\"workload-low\"} 99
apiserver_flowcontrol_rejected_requests_total{flow_schema=\"bench-hub-reads\",priority_level=\"workload-low\"} 5
";
        let counts = Counts::read(metrics);
        let expected = Counts {
            writes: 1_234_567,
            lease_writes: 7,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
        let before = Counts {
            writes: 1_234_560,
            ..Counts::default()
        };
        assert_eq!(counts.since(before).all_writes(), 7);
    }

    #[test]
    fn writes_are_what_no_earlier_flow_schema_takes() {
        let names: Vec<&str> = ALL.iter().map(|taken| taken.name).collect();
        assert_eq!(names.last(), Some(&WRITES));
        let first = schema(&ALL[0], FIRST);
        assert_eq!(first["spec"]["matchingPrecedence"], 10);
        assert_eq!(first["spec"]["rules"][0]["nonResourceRules"], json!([]));
    }
}
