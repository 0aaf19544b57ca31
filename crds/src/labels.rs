//! Labels, annotations, finalizers and reserved names: each has one home, here.

/// Label on a namespace (hub and member): the uid of the one tenant it belongs to.
pub const TENANT_UID: &str = "heyun.dev/tenant-uid";
/// Label on a namespace (hub and member): the name of that tenant, for people.
pub const TENANT: &str = "heyun.dev/tenant";
/// Label on all that Heyun writes on hub and members; the value is [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`], and the field manager of every server-side apply.
pub const MANAGER: &str = "heyun";
/// Label on a Work: namespace of its Workload.
pub const WORKLOAD_NAMESPACE: &str = "heyun.dev/workload-namespace";
/// Label on a Work and on applied objects: name of the Workload (63 characters at most).
pub const WORKLOAD: &str = "heyun.dev/workload";
/// Label on applied objects: name of the Work that asserts them.
pub const WORK: &str = "heyun.dev/work";
/// Annotation on a top-level applied object: epoch of the hub that decided it (fence).
pub const EPOCH: &str = "heyun.dev/epoch";
/// Annotation on a top-level applied object: id of the decision it renders.
pub const DECISION: &str = "heyun.dev/decision";
/// Annotation on a top-level applied object: component it belongs to, such as `Deployment/web`.
pub const COMPONENT: &str = "heyun.dev/component";
/// Annotation on a top-level applied object: what it was charged, compact JSON.
pub const CHARGE: &str = "heyun.dev/charge";
/// Annotation written (fenced) before a delete; its value is the epoch that retires the object.
pub const RETIRE: &str = "heyun.dev/retire";
/// Annotation that carries the W3C trace context of the generation, written once per generation.
pub const TRACEPARENT: &str = "heyun.dev/traceparent";
/// Annotation on a Workload or Work object that names the tenant for people.
pub const TENANT_PATH: &str = "heyun.dev/tenant-path";
/// Label on a Secret in `heyun-member-NAME`: hash of its payload.
pub const SECRET_HASH: &str = "heyun.dev/secret-hash";
/// Node label: the architecture, as Kubernetes names it.
pub const ARCH: &str = "kubernetes.io/arch";
/// Node label: attested Xinchuang (信创).
pub const XINCHUANG: &str = "heyun.dev/xinchuang";
/// Annotation on a PriorityClass of the hub that makes it one for emergencies: names of the tenants
/// that may name it, with all below them, separated by commas.
pub const EMERGENCY_TENANTS: &str = "heyun.dev/emergency-tenants";
/// Prefix of every label and annotation that users may not set in manifests.
pub const PREFIX: &str = "heyun.dev/";

/// Finalizer of Workload, Work, Tenant and MemberCluster.
pub const FINALIZER: &str = "heyun.dev/finalizer";

/// Namespace of the hub, its Lease, its credentials; also the namespace of Heyun on a member.
pub const SYSTEM_NAMESPACE: &str = "heyun-system";
/// Name of the leader Lease in [`SYSTEM_NAMESPACE`] on the hub, and of the fence Lease on a member.
pub const LEADER_LEASE: &str = "heyun-hub";
/// Service account of the hub in [`SYSTEM_NAMESPACE`], on the hub and on push members.
pub const HUB_ACCOUNT: &str = "heyun-hub";
/// Service account in a tenant namespace of a member that the executor impersonates.
pub const DEPLOYER: &str = "heyun-deployer";
/// ClusterRole on a member that lets the executor impersonate [`DEPLOYER`] where it is bound.
pub const IMPERSONATE_ROLE: &str = "heyun-impersonate";

/// Longest name of a MemberCluster, so that `heyun-member-NAME` is a namespace name.
pub const MEMBER_NAME_MAX: usize = 40;

/// The hub namespace that holds a member's Works and Sketch.
pub fn member_namespace(member: &str) -> String {
    format!("heyun-member-{member}")
}
