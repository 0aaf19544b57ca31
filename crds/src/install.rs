//! Objects that an installation needs beside the definitions: one home for the charts, the CLI and
//! the sandbox, which apply them as they stand.

/// The namespace `heyun-system`; the same on hub and member.
pub const NAMESPACE: &str = include_str!("../../charts/heyun/files/namespace.yaml");
/// Hub: the account `heyun-hub` and all that it and people may do. No wildcard.
pub const RBAC: &str = include_str!("../../charts/heyun/files/rbac.yaml");
/// Hub: the fence and the checks that a schema cannot make, as ValidatingAdmissionPolicies.
pub const POLICIES: &str = include_str!("../../charts/heyun/files/policies.yaml");
/// Hub: who files and decides on requests is who they say, as ValidatingAdmissionPolicies.
pub const REQUEST_POLICIES: &str = include_str!("../../charts/heyun/files/policies-requests.yaml");
/// Hub: the registration of `query.heyun.dev`.
pub const APISERVICE: &str = include_str!("../../charts/heyun/files/apiservice.yaml");
/// Push member: account, roles and fence.
pub const MEMBER: &str = include_str!("../../charts/heyun/files/member.yaml");
