//! Tenants on the hub: their namespaces, who may deploy there, their status.
//!
//! `plan` is pure: what a tenant should have, from the tree. `apply` brings it about.

mod apply;

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::labels::{HUB_ACCOUNT, MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, TENANT, TENANT_UID};
use heyun_crds::tenant::{Subject as Person, SubjectKind, TenantStatus};
use heyun_plan::tenants::access::{self, Role};
use heyun_plan::tenants::{TenantNode, TenantTree};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

pub use self::apply::{ApplyError, apply};

/// ClusterRole that the hub binds itself to in a member's namespace, where it keeps Secrets.
pub const SECRETS_ROLE: &str = "heyun-secrets";
/// ClusterRole that the hub binds itself to in a tenant's namespace, where it reads Secrets.
pub const SECRETS_READER_ROLE: &str = "heyun-secrets-reader";

/// What a tenant should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the tenant.
    pub tenant: String,
    /// Namespaces to assert.
    pub namespaces: Vec<Namespace>,
    /// Bindings to assert.
    pub bindings: Vec<RoleBinding>,
    /// Namespaces that it had by its status and has no longer: nobody is bound there any more.
    pub left: Vec<String>,
    /// Status it should have, once the above is there.
    pub status: TenantStatus,
}

/// What a tenant should have, by the tree that `node` is of.
pub fn plan(tree: &TenantTree, tenant: &Tenant, node: &TenantNode, now: &Time) -> Plan {
    let namespaces = node
        .namespaces
        .iter()
        .map(|name| namespace(name, node))
        .collect();
    let people = access::bindings(tree, &node.name);
    let bound = |name: &str| {
        let roles = people.iter().map(|(one, people)| role(name, *one, people));
        let mut bindings: Vec<RoleBinding> = roles.collect();
        bindings.push(secrets(name, SECRETS_READER_ROLE));
        bindings
    };
    let bindings = node
        .namespaces
        .iter()
        .flat_map(|name| bound(name))
        .collect();
    let had = tenant.status.iter().flat_map(|status| &status.namespaces);
    let left = had.filter(|name| !node.namespaces.contains(name));
    Plan {
        tenant: node.name.clone(),
        namespaces,
        bindings,
        left: left.cloned().collect(),
        status: status(tenant, node, now),
    }
}

fn status(tenant: &Tenant, node: &TenantNode, now: &Time) -> TenantStatus {
    let old = tenant.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.clone();
    let generation = Some(node.generation);
    let (accepted, reason, message) = match &node.refusal {
        None => (true, Reason::Ok.as_str(), String::new()),
        Some(refusal) => (false, refusal.reason.as_str(), refusal.message.clone()),
    };
    for kind in [ConditionType::Accepted, ConditionType::Ready] {
        set_condition(
            &mut conditions,
            kind,
            Some(accepted),
            reason,
            &message,
            generation,
            now,
        );
    }
    TenantStatus {
        observed_generation: node.generation,
        conditions,
        path: node.path.clone(),
        namespaces: node.namespaces.clone(),
        children: u32::try_from(node.children.len()).unwrap_or(u32::MAX),
        guardrails: node.guardrails.clone(),
        accepted_parent: if node.accepted() {
            node.parent.clone()
        } else {
            old.accepted_parent
        },
    }
}

fn namespace(name: &str, node: &TenantNode) -> Namespace {
    let labels = [
        (TENANT_UID, &node.uid),
        (TENANT, &node.name),
        (MANAGED_BY, &MANAGER.to_owned()),
    ]
    .map(|(k, v)| (k.to_owned(), v.clone()));
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

fn binding(namespace: &str, name: &str, role: &str, subjects: Vec<Subject>) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(
                MANAGED_BY.to_owned(),
                MANAGER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(subjects),
    }
}

/// Binds those who have a role. Where nobody has, nobody is bound, which is written too: a binding
/// that is not applied keeps the people of before.
fn role<'a>(
    namespace: &str,
    role: Role,
    people: impl IntoIterator<Item = &'a Person>,
) -> RoleBinding {
    let subject = |person: &Person| Subject {
        api_group: (person.kind != SubjectKind::ServiceAccount)
            .then(|| "rbac.authorization.k8s.io".to_owned()),
        kind: person.kind.as_str().to_owned(),
        name: person.name.clone(),
        namespace: person.namespace.clone(),
    };
    let subjects = people.into_iter().map(subject).collect();
    let name = role.cluster_role();
    binding(namespace, name, name, subjects)
}

/// Lets the hub at the Secrets of this namespace, as far as the role goes.
pub fn secrets(namespace: &str, role: &str) -> RoleBinding {
    let hub = Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: HUB_ACCOUNT.to_owned(),
        namespace: Some(SYSTEM_NAMESPACE.to_owned()),
    };
    binding(namespace, role, role, vec![hub])
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::tenant::TenantSpec;
    use heyun_plan::tenants;
    use serde_json::json;

    const NOW: Time = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);

    fn group(name: &str) -> Person {
        Person {
            kind: SubjectKind::Group,
            name: name.to_owned(),
            namespace: None,
        }
    }

    fn tenant(name: &str, parent: Option<&str>) -> Tenant {
        let spec = TenantSpec {
            parent: parent.map(str::to_owned),
            owners: vec![group(&format!("{name}:admins"))],
            namespaces: vec![name.to_owned()],
            ..TenantSpec::default()
        };
        Tenant::new(name, spec)
    }

    /// The plan for the last of these tenants.
    fn planned(tenants: &[Tenant]) -> Plan {
        let tree = tenants::tree(tenants);
        let last = tenants.last().unwrap();
        let node = tree.get(last.metadata.name.as_deref().unwrap()).unwrap();
        plan(&tree, last, node, &NOW)
    }

    fn subjects(plan: &Plan, role: Role) -> serde_json::Value {
        let named = |binding: &&RoleBinding| {
            binding.metadata.name.as_deref() == Some(role.cluster_role())
                && binding.role_ref.name == role.cluster_role()
        };
        let binding = plan.bindings.iter().find(named).unwrap();
        serde_json::to_value(&binding.subjects).unwrap()
    }

    #[test]
    fn people_are_bound_and_the_last_one_is_revoked() {
        let mut civil = tenant("civil", None);
        let group = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "civil:admins"});
        let with = planned(std::slice::from_ref(&civil));
        assert_eq!(subjects(&with, Role::Owner), json!([group]));
        civil.spec.owners.clear();
        let without = planned(&[civil]);
        for role in Role::ALL {
            // Sent, and empty: what is left out of an apply might stay.
            assert_eq!(subjects(&without, role), json!([]), "{role:?}");
        }
    }

    #[test]
    fn the_people_of_ancestors_are_bound_below_and_go_when_they_are_taken_out() {
        let mut above = tenant("city", None);
        above.spec.auditors = vec![group("audit")];
        let below = tenant("civil", Some("city"));
        let names = |plan: &Plan, role| -> Vec<String> {
            let list = subjects(plan, role);
            let names = list.as_array().unwrap().iter();
            names
                .map(|s| s["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let with = planned(&[above.clone(), below.clone()]);
        assert_eq!(names(&with, Role::Owner), ["city:admins", "civil:admins"]);
        assert_eq!(names(&with, Role::Auditor), ["audit"]);
        above.spec.auditors.clear();
        let without = planned(&[above.clone(), below.clone()]);
        assert!(names(&without, Role::Auditor).is_empty());
        let up = planned(&[below, above]);
        assert_eq!(names(&up, Role::Owner), ["city:admins"], "nothing goes up");
    }

    #[test]
    fn people_leave_a_namespace_with_their_tenant() {
        let mut civil = tenant("civil", None);
        civil.status = Some(TenantStatus {
            namespaces: vec!["civil".to_owned(), "civil-old".to_owned()],
            ..TenantStatus::default()
        });
        let wanted = planned(std::slice::from_ref(&civil));
        assert_eq!(wanted.left, ["civil-old"]);
        civil.status = Some(wanted.status);
        assert!(planned(&[civil]).left.is_empty(), "once");
    }
}
