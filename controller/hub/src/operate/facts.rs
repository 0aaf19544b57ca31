//! What a Workload means, from its manifests and from what it refers to; or why it is refused.

use heyun_crds::conditions::Reason;
use heyun_crds::placement::PlacementSpec;
use heyun_plan::guard;
use heyun_plan::interpret::{self, ManifestError};

use super::look::{Facts, Refusal, Sight};
use crate::world::Entry;

impl Sight<'_> {
    /// What a Workload means, or why it is refused.
    pub(super) fn facts(&self, entry: &Entry) -> Result<Facts, Refusal> {
        let namespace = &entry.key.namespace;
        let Some(tenant) = self.world.tree.tenant_of(namespace) else {
            return Err(Refusal {
                reason: Reason::NoTenant,
                message: format!(
                    "namespace {namespace} belongs to no tenant: a platform administrator adds it \
                     to spec.namespaces of a Tenant"
                ),
            });
        };
        let placement = self.placement(entry)?;
        let workload = entry.object();
        let context = interpret::Context {
            namespace,
            placement: &placement,
            default_requests: self.default_requests,
        };
        let interpreted =
            interpret::interpret(&workload.spec, &context).map_err(|errors| refusal(&errors))?;
        let broken = guard::all_refusals(
            &workload.spec,
            &self.world.class_of(entry),
            &guard::Context {
                tree: &self.world.tree,
                tenant,
                priority: &|name| self.priority(name),
            },
        );
        if !broken.is_empty() {
            return Err(refusal(&broken));
        }
        Ok(Facts {
            workload,
            interpreted,
            placement,
            tenant: tenant.clone(),
        })
    }

    fn placement(&self, entry: &Entry) -> Result<PlacementSpec, Refusal> {
        match (self.world.placement_of(entry), &entry.spec.placement_ref) {
            (Some(placement), _) => Ok(placement.clone()),
            (None, None) => Ok(PlacementSpec::default()),
            (None, Some(reference)) => Err(Refusal {
                reason: Reason::NotFound,
                message: format!(
                    "spec.placementRef.name: placement {}/{} does not exist: create it, or write \
                     spec.placement",
                    entry.key.namespace, reference.name
                ),
            }),
        }
    }

    /// Value of a PriorityClass of the hub; none where it does not exist.
    fn priority(&self, name: &str) -> Option<i32> {
        self.world.class(name).map(|class| class.value)
    }
}

/// All faults as one refusal; the first gives the reason.
fn refusal(errors: &[ManifestError]) -> Refusal {
    Refusal {
        reason: errors.first().map_or(Reason::Invalid, |e| e.reason),
        message: interpret::summarize(errors),
    }
}
