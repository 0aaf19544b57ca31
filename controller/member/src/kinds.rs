//! The kinds that a member serves: plural, scope and verbs come from the member itself, never
//! from a guess.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heyun_crds::conditions::Reason;
use kube::Client;
use kube::api::ApiResource;
use kube::client::APIGroupDiscoveryList;

use crate::client::{CALL_LIMIT, within};
use crate::clock::Clock;
use crate::error::Error;
use crate::seen::KindKey;

/// How soon after the last look an unknown kind makes the hub look again.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(15);

/// One kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// True when its objects live in namespaces.
    pub namespaced: bool,
    /// True when it can be listed and watched.
    pub watchable: bool,
}

/// All kinds of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    kinds: BTreeMap<(String, String), Kind>,
}

impl Catalog {
    /// The kind of that `apiVersion` and `kind`.
    pub fn get(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// Namespaced kinds as `group/version/Kind` (core: `v1/Kind`), sorted.
    pub fn namespaced(&self) -> Vec<String> {
        let namespaced = self.kinds.iter().filter(|(_, kind)| kind.namespaced);
        namespaced
            .map(|((api_version, kind), _)| format!("{api_version}/{kind}"))
            .collect()
    }

    fn add(&mut self, kind: Kind) {
        let key = (
            kind.resource.api_version.clone(),
            kind.resource.kind.clone(),
        );
        self.kinds.entry(key).or_insert(kind);
    }

    /// Adds the kinds of an aggregated discovery document; `core` is the group without a name.
    fn add_aggregated(&mut self, list: APIGroupDiscoveryList) {
        for group in list.items {
            let name = group.metadata.and_then(|m| m.name).unwrap_or_default();
            for version in group.versions {
                let Some(version_name) = version.version else {
                    continue;
                };
                for found in version.resources {
                    let Some(plural) = found.resource else {
                        continue;
                    };
                    let Some(kind) = found.response_kind.and_then(|k| k.kind) else {
                        continue;
                    };
                    self.add(Kind {
                        resource: resource(&name, &version_name, &kind, &plural),
                        namespaced: found.scope.as_deref() == Some("Namespaced"),
                        watchable: watchable(&found.verbs),
                    });
                }
            }
        }
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn watchable(verbs: &[String]) -> bool {
    ["list", "watch"]
        .iter()
        .all(|verb| verbs.iter().any(|v| v == verb))
}

/// Asks a member for its kinds: two requests, or one per group and version where the member is
/// too old for aggregated discovery.
pub async fn discover(client: &Client) -> Result<Catalog, Error> {
    let doing = "ask the member for its kinds";
    let mut catalog = Catalog::default();
    let core = within(
        CALL_LIMIT,
        doing,
        client.list_core_api_versions_aggregated(),
    )
    .await?;
    if core.items.is_empty() {
        return discover_each(client).await;
    }
    catalog.add_aggregated(core);
    catalog.add_aggregated(within(CALL_LIMIT, doing, client.list_api_groups_aggregated()).await?);
    Ok(catalog)
}

async fn discover_each(client: &Client) -> Result<Catalog, Error> {
    let doing = "ask the member for its kinds";
    let mut catalog = Catalog::default();
    let core = within(CALL_LIMIT, doing, client.list_core_api_versions()).await?;
    for version in core.versions {
        let list = within(CALL_LIMIT, doing, client.list_core_api_resources(&version)).await?;
        add_plain(&mut catalog, "", &version, list.resources);
    }
    let groups = within(CALL_LIMIT, doing, client.list_api_groups()).await?;
    for group in groups.groups {
        for version in group.versions {
            let call = client.list_api_group_resources(&version.group_version);
            // One aggregated API that is away must not hide all others.
            let Ok(list) = within(CALL_LIMIT, doing, call).await else {
                continue;
            };
            add_plain(&mut catalog, &group.name, &version.version, list.resources);
        }
    }
    Ok(catalog)
}

fn add_plain(
    catalog: &mut Catalog,
    group: &str,
    version: &str,
    found: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource>,
) {
    for one in found.into_iter().filter(|one| !one.name.contains('/')) {
        catalog.add(Kind {
            resource: resource(group, version, &one.kind, &one.name),
            namespaced: one.namespaced,
            watchable: watchable(&one.verbs),
        });
    }
}

/// The kinds of one member, asked for once and again when an unknown one is named.
#[derive(Debug)]
pub struct Kinds {
    clock: Arc<dyn Clock>,
    held: Mutex<Option<(Arc<Catalog>, Duration)>>,
}

impl Kinds {
    /// Nothing known yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            held: Mutex::new(None),
        }
    }

    /// Asks the member now.
    pub async fn refresh(&self, client: &Client) -> Result<Arc<Catalog>, Error> {
        let catalog = Arc::new(discover(client).await?);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((catalog.clone(), self.clock.monotonic()));
        Ok(catalog)
    }

    /// What was last heard, with its age.
    pub fn held(&self) -> Option<(Arc<Catalog>, Duration)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref()
            .map(|(catalog, at)| (catalog.clone(), self.clock.monotonic().saturating_sub(*at)))
    }

    /// The namespaced kind of that name; asks the member where it is unknown and the last look
    /// is not fresh. Cluster-scoped and unknown kinds are refused.
    pub async fn resolve(
        &self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Kind, Error> {
        let found = match self.held() {
            Some((catalog, age)) => {
                let found = catalog.get(api_version, kind).cloned();
                if found.is_none() && age > UNKNOWN_AGAIN {
                    self.refresh(client).await?.get(api_version, kind).cloned()
                } else {
                    found
                }
            }
            None => self.refresh(client).await?.get(api_version, kind).cloned(),
        };
        match found {
            Some(kind) if kind.namespaced => Ok(kind),
            Some(_) => Err(Error::Refused {
                reason: Reason::KindNotAllowed,
                message: format!(
                    "{api_version} {kind} is cluster-scoped on this member; a Workload carries \
                     namespaced kinds only: take it out of spec.manifests"
                ),
            }),
            None => Err(Error::Refused {
                reason: Reason::NotFound,
                message: format!(
                    "this member does not serve {api_version} {kind}: install it there, or keep \
                     the Workload away from this member"
                ),
            }),
        }
    }
}

/// Kinds that are applied to one member: each gets one watch.
#[derive(Debug, Default)]
pub struct InUse {
    kinds: Mutex<BTreeMap<KindKey, ApiResource>>,
    changed: tokio::sync::Notify,
}

impl InUse {
    /// Notes that objects of this kind are applied.
    pub fn note(&self, kind: &Kind) {
        if !kind.watchable {
            return;
        }
        let key = KindKey {
            api_version: kind.resource.api_version.clone(),
            kind: kind.resource.kind.clone(),
        };
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.insert(key, kind.resource.clone()).is_none() {
            self.changed.notify_one();
        }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<KindKey, ApiResource> {
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until one was added.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn aggregated_discovery_gives_plural_scope_and_sorted_names() {
        let list: APIGroupDiscoveryList = serde_json::from_value(json!({"items": [{
            "metadata": {"name": "apps"},
            "versions": [{"version": "v1", "resources": [
                {"resource": "deployments", "scope": "Namespaced",
                 "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                 "verbs": ["get", "list", "watch"]}]}]
        }, {
            "metadata": {"name": "node.k8s.io"},
            "versions": [{"version": "v1", "resources": [
                {"resource": "runtimeclasses", "scope": "Cluster",
                 "responseKind": {"kind": "RuntimeClass"}, "verbs": ["get"]}]}]
        }]}))
        .unwrap();
        let mut catalog = Catalog::default();
        catalog.add_aggregated(list);
        let kind = catalog.get("apps/v1", "Deployment").unwrap();
        assert_eq!(kind.resource.plural, "deployments");
        assert!(kind.namespaced && kind.watchable);
        assert!(
            !catalog
                .get("node.k8s.io/v1", "RuntimeClass")
                .unwrap()
                .namespaced
        );
        assert_eq!(catalog.namespaced(), ["apps/v1/Deployment"]);
    }
}
