//! What is known about kinds without asking a cluster.

use std::fmt;

/// Kinds that run pods and that the scheduler counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentKind {
    /// `apps` Deployment.
    Deployment,
    /// `apps` ReplicaSet.
    ReplicaSet,
    /// Core ReplicationController.
    ReplicationController,
    /// `apps` StatefulSet.
    StatefulSet,
    /// `apps` DaemonSet.
    DaemonSet,
    /// `batch` Job.
    Job,
    /// `batch` CronJob.
    CronJob,
    /// Core Pod.
    Pod,
}

impl ComponentKind {
    /// Every kind that runs pods.
    pub const ALL: &'static [Self] = &[
        Self::Deployment,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
        Self::Pod,
    ];

    /// The kind of an object, if it runs pods. Any version of the group counts.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = group_of(api_version);
        Self::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == kind && k.group() == group)
    }

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Pod => "Pod",
        }
    }

    /// Its API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job | Self::CronJob => "batch",
            Self::ReplicationController | Self::Pod => "",
        }
    }

    /// Whether it has `spec.replicas`, which people and autoscalers set.
    pub const fn is_scalable(self) -> bool {
        matches!(
            self,
            Self::Deployment | Self::ReplicaSet | Self::ReplicationController | Self::StatefulSet
        )
    }

    /// Whether its object may stand on a member that has none of its replicas. The others would
    /// run there all the same, or count as done.
    pub const fn can_stand_empty(self) -> bool {
        self.is_scalable()
    }

    /// Where its pod template is, as a JSON pointer: an object with `metadata` and `spec`.
    pub const fn template_pointer(self) -> &'static str {
        match self {
            Self::Pod => "",
            Self::CronJob => "/spec/jobTemplate/spec/template",
            _ => "/spec/template",
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The group of an `apiVersion`; empty for the core group.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Why a Workload may not carry a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is cluster-scoped: the platform's, not a tenant's.
    ClusterScoped,
    /// A Secret: its payload must not stand in a Workload.
    Secret,
    /// It would undo or mimic what the platform writes itself.
    Platform,
    /// It is a question to the API server and never stored.
    NotStored,
    /// It holds other objects.
    List,
}

impl Refusal {
    /// What is wrong, for a message.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::ClusterScoped => {
                "is cluster-scoped, and a Workload carries only what is in its own namespace"
            }
            Self::Secret => "is a Secret, whose payload must not stand in a Workload",
            Self::Platform => "is a kind that the platform writes itself",
            Self::NotStored => "is a kind that no API server stores",
            Self::List => "is a list of objects",
        }
    }

    /// What to do about it, for a message.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::ClusterScoped => {
                "remove it, and ask a platform administrator to install it on the members"
            }
            Self::Secret => {
                "create the Secret in this namespace and name it in spec.secrets, or let `heyun deploy -f` do both"
            }
            Self::Platform | Self::NotStored => "remove it",
            Self::List => "put each of its items into manifests, or let `heyun deploy -f` do it",
        }
    }
}

/// Cluster-scoped kinds by group. A kind that is in neither table is checked against what the
/// members serve.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    (
        "",
        &["Namespace", "Node", "PersistentVolume", "ComponentStatus"],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("cert-manager.io", &["ClusterIssuer"]),
    (
        "certificates.k8s.io",
        &["CertificateSigningRequest", "ClusterTrustBundle"],
    ),
    ("cilium.io", &["CiliumClusterwideNetworkPolicy"]),
    (
        "crd.projectcalico.org",
        &["GlobalNetworkPolicy", "GlobalNetworkSet", "IPPool"],
    ),
    (
        "external-secrets.io",
        &["ClusterExternalSecret", "ClusterSecretStore"],
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        &["FlowSchema", "PriorityLevelConfiguration"],
    ),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    ("kyverno.io", &["ClusterPolicy", "ClusterCleanupPolicy"]),
    (
        "networking.k8s.io",
        &["IngressClass", "IPAddress", "ServiceCIDR"],
    ),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    (
        "rbac.authorization.k8s.io",
        &["ClusterRole", "ClusterRoleBinding"],
    ),
    (
        "resource.k8s.io",
        &["DeviceClass", "DeviceTaintRule", "ResourceSlice"],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "snapshot.storage.k8s.io",
        &["VolumeSnapshotClass", "VolumeSnapshotContent"],
    ),
    (
        "storage.k8s.io",
        &[
            "CSIDriver",
            "CSINode",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ],
    ),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];

/// Namespaced kinds that the platform, or the member's own controllers, write.
const PLATFORM: &[(&str, &[&str])] = &[
    ("", &["Endpoints", "Event", "LimitRange", "ResourceQuota"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
];

/// Kinds that are requests and never objects.
const NOT_STORED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "Binding",
            "PodExecOptions",
            "PodLogOptions",
            "DeleteOptions",
            "Status",
        ],
    ),
    (
        "authentication.k8s.io",
        &["SelfSubjectReview", "TokenRequest", "TokenReview"],
    ),
    (
        "authorization.k8s.io",
        &[
            "LocalSubjectAccessReview",
            "SelfSubjectAccessReview",
            "SelfSubjectRulesReview",
            "SubjectAccessReview",
        ],
    ),
    ("autoscaling", &["Scale"]),
    ("policy", &["Eviction"]),
];

/// Why a Workload may not carry objects of that kind; `None` when it may.
pub fn refusal(api_version: &str, kind: &str) -> Option<Refusal> {
    let group = group_of(api_version);
    let among = |table: &[(&str, &[&str])]| {
        table
            .iter()
            .any(|(g, kinds)| *g == group && kinds.contains(&kind))
    };
    if group == heyun_crds::GROUP || group.ends_with(".heyun.dev") {
        Some(Refusal::Platform)
    } else if group.is_empty() && kind == "Secret" {
        Some(Refusal::Secret)
    } else if among(CLUSTER_SCOPED) {
        Some(Refusal::ClusterScoped)
    } else if among(PLATFORM) {
        Some(Refusal::Platform)
    } else if among(NOT_STORED) {
        Some(Refusal::NotStored)
    } else {
        None
    }
}
