//! The programs of a control plane and their arguments.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::address::{API_PORT, ETCD_HTTP_PORT, ETCD_PEER_PORT, ETCD_PORT};
use crate::audit::POLICY;
use crate::error::IoContext;
use crate::keeper::Launch;
use crate::pki::{FRONT_PROXY, Pki, write_private};
use crate::spec::{ClusterSpec, MemberSpec};

/// A program of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// etcd, one to a cluster.
    Etcd,
    /// kube-apiserver.
    #[serde(rename = "apiserver")]
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler; members only.
    Scheduler,
    /// kwok, which plays the nodes; members only.
    Kwok,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kwok => "kwok",
        })
    }
}

/// Without these a hub's namespaces never finish, the roles `edit` and `view` are empty, and a
/// real hub behaves otherwise.
const HUB_CONTROLLERS: [&str; 9] = [
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "resourcequota-controller",
    "clusterrole-aggregation-controller",
    "certificatesigningrequest-signing-controller",
    "certificatesigningrequest-cleaner-controller",
    "validatingadmissionpolicy-status-controller",
];

/// What runs pods beside that. Without node-lifecycle nodes keep the not-ready taint; without the
/// protection controllers volumes and their claims never go.
const MEMBER_CONTROLLERS: [&str; 16] = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "job-controller",
    "cronjob-controller",
    "ttl-after-finished-controller",
    "endpointslice-controller",
    "disruption-controller",
    "horizontal-pod-autoscaler-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "pod-garbage-collector-controller",
    "ephemeral-volume-controller",
    "persistentvolumeclaim-protection-controller",
    "persistentvolume-protection-controller",
];

/// kwok's stages; see `stages/README.md`.
const STAGES: [&str; 9] = [
    include_str!("../stages/node-initialize.yaml"),
    include_str!("../stages/node-heartbeat-with-lease.yaml"),
    include_str!("../stages/pod-ready.yaml"),
    include_str!("../stages/pod-complete.yaml"),
    include_str!("../stages/pod-delete.yaml"),
    include_str!("../stages/pv-bind.yaml"),
    include_str!("../stages/pv-delete.yaml"),
    include_str!("../stages/pvc-provision.yaml"),
    include_str!("../stages/pvc-delete.yaml"),
];

/// What the arguments refer to.
pub(crate) struct Files<'a> {
    pub(crate) bin: &'a Path,
    pub(crate) dir: &'a Path,
    pub(crate) audit_log: &'a Path,
    pub(crate) pki: &'a Pki,
    pub(crate) ip: Ipv4Addr,
    pub(crate) spec: &'a ClusterSpec,
}

impl Files<'_> {
    /// Writes what the components read.
    pub(crate) fn write(
        &self,
        cluster: &str,
        server: &str,
        member: Option<&MemberSpec>,
    ) -> Result<()> {
        let plain = |name: &str, text: &str| {
            let path = self.dir.join(name);
            fs::write(&path, text).io(|| format!("writing {}", path.display()))
        };
        let client = |name: &str, user: &str, group: Option<&str>| {
            let text = self.pki.kubeconfig(cluster, server, user, group)?;
            write_private(&self.dir.join(name), &text)
        };
        plain("audit-policy.yaml", POLICY)?;
        client(
            "controller-manager.kubeconfig",
            "system:kube-controller-manager",
            None,
        )?;
        let Some(member) = member else { return Ok(()) };
        client("scheduler.kubeconfig", "system:kube-scheduler", None)?;
        client("kwok.kubeconfig", "kwok", Some("system:masters"))?;
        plain("scheduler.yaml", &self.scheduler_config())?;
        let classes: Vec<String> = member
            .storage_classes
            .iter()
            .map(|name| format!("'{name}'"))
            .collect();
        plain(
            "stages.yaml",
            &STAGES
                .join("\n---\n")
                .replace("STORAGE_CLASSES", &classes.join(", ")),
        )
    }

    fn scheduler_config(&self) -> String {
        format!(
            "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
             leaderElection: {{leaderElect: false}}\n\
             clientConnection: {{kubeconfig: {:?}, qps: 500, burst: 1000}}\n",
            self.file("scheduler.kubeconfig")
        )
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

impl Component {
    pub(crate) fn of(is_hub: bool) -> Vec<Self> {
        let mut all = vec![Self::Etcd, Self::ApiServer, Self::ControllerManager];
        if !is_hub {
            all.extend([Self::Scheduler, Self::Kwok]);
        }
        all
    }

    pub(crate) fn launch(self, name: String, log: PathBuf, files: &Files<'_>) -> Launch {
        let (binary, args) = match self {
            Self::Etcd => ("etcd", etcd(files)),
            Self::ApiServer => ("kube-apiserver", apiserver(files)),
            Self::ControllerManager => ("kube-controller-manager", controller_manager(files)),
            Self::Scheduler => (
                "kube-scheduler",
                vec![
                    format!("--config={}", files.file("scheduler.yaml")),
                    "--secure-port=0".into(),
                ],
            ),
            Self::Kwok => ("kwok", kwok(files)),
        };
        let mut argv = vec![files.bin.join(binary).display().to_string()];
        argv.extend(args);
        Launch {
            name,
            argv,
            env: BTreeMap::new(),
            log,
            setpriv: Vec::new(),
        }
    }
}

fn etcd(files: &Files<'_>) -> Vec<String> {
    let client = format!("http://{}:{ETCD_PORT}", files.ip);
    let peer = format!("http://{}:{ETCD_PEER_PORT}", files.ip);
    vec![
        "--name=sandbox".into(),
        format!("--data-dir={}", files.file("etcd")),
        format!("--listen-client-urls={client}"),
        format!(
            "--listen-client-http-urls=http://{}:{ETCD_HTTP_PORT}",
            files.ip
        ),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=sandbox={peer}"),
        // Nothing here outlives the machine.
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]
}

fn apiserver(files: &Files<'_>) -> Vec<String> {
    let pki = |name: &str| files.pki.file(name);
    let mut args = vec![
        format!("--bind-address={}", files.ip),
        format!("--secure-port={API_PORT}"),
        format!("--etcd-servers=http://{}:{ETCD_PORT}", files.ip),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--authorization-mode=Node,RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        "--allow-privileged=true".into(),
        // Endpoints may not be loopback addresses.
        "--endpoint-reconciler-type=none".into(),
        // The front proxy, for aggregated APIs. Without --enable-aggregator-routing: with it,
        // services of type ExternalName are refused.
        format!(
            "--requestheader-client-ca-file={}",
            pki("front-proxy-ca.crt")
        ),
        format!("--requestheader-allowed-names={FRONT_PROXY}"),
        "--requestheader-username-headers=X-Remote-User".into(),
        "--requestheader-uid-headers=X-Remote-Uid".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        format!(
            "--proxy-client-cert-file={}",
            pki(&format!("{FRONT_PROXY}.crt"))
        ),
        format!(
            "--proxy-client-key-file={}",
            pki(&format!("{FRONT_PROXY}.key"))
        ),
        "--profiling=false".into(),
    ];
    if files.spec.audit {
        args.push(format!(
            "--audit-policy-file={}",
            files.file("audit-policy.yaml")
        ));
        args.push(format!("--audit-log-path={}", files.audit_log.display()));
        // One file, whatever its size: tests count in it.
        args.push("--audit-log-maxsize=0".into());
    }
    args.extend(files.spec.apiserver_args.iter().cloned());
    args
}

fn controller_manager(files: &Files<'_>) -> Vec<String> {
    let is_member = files.dir.join("stages.yaml").is_file();
    let mut controllers = HUB_CONTROLLERS.to_vec();
    if is_member {
        controllers.extend(MEMBER_CONTROLLERS);
    }
    vec![
        format!(
            "--kubeconfig={}",
            files.file("controller-manager.kubeconfig")
        ),
        format!("--controllers={}", controllers.join(",")),
        // Each controller is its own account, as in a real cluster: policies tell them apart.
        "--use-service-account-credentials=true".into(),
        format!(
            "--service-account-private-key-file={}",
            files.pki.file("sa.key")
        ),
        format!("--root-ca-file={}", files.pki.file("ca.crt")),
        format!("--cluster-signing-cert-file={}", files.pki.file("ca.crt")),
        format!("--cluster-signing-key-file={}", files.pki.file("ca.key")),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        "--kube-api-qps=500".into(),
        "--kube-api-burst=1000".into(),
        "--profiling=false".into(),
    ]
}

fn kwok(files: &Files<'_>) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", files.file("kwok.kubeconfig")),
        format!("--config={}", files.file("stages.yaml")),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".into(),
        "--node-lease-duration-seconds=40".into(),
        format!("--node-ip={}", files.ip),
        "--cidr=10.64.0.0/12".into(),
        // It would log each renewal of each node's lease.
        "--v=WARN".into(),
    ]
}
