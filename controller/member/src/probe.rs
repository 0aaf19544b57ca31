//! Is the member there, is it ready, which cluster is it, and what does it serve?

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

use crate::client::within;
use crate::error::{Class, Classify as _, Error, answer, describe};
use crate::kinds::{Catalog, Kinds};

/// How long a whole probe may take.
pub const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// How old the list of kinds may be before a probe asks anew.
pub const KINDS_AGE_MAX: Duration = Duration::from_mins(10);

/// What a member that answers says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// True when `/readyz` is well.
    pub ready: bool,
    /// What `/readyz` says where it is not.
    pub message: String,
    /// Version of the API server. Example: `v1.36.3`.
    pub version: String,
    /// uid of `kube-system`: two members with the same one are one cluster.
    pub cluster_id: String,
    /// Namespaced kinds, as `group/version/Kind` (core: `v1/Kind`), sorted; shared with the
    /// last probe where nothing was asked anew.
    pub apis: Arc<Vec<String>>,
}

/// Why a member could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// `Unreachable`: no answer, nothing is known. `Denied`: the credential is refused.
    pub class: Class,
    /// One line for the condition.
    pub message: String,
}

/// Asks one member, again and again.
#[derive(Debug)]
pub struct Prober {
    kinds: Arc<Kinds>,
    /// The version and the cluster do not change while the credential is the same, but a
    /// version does with an upgrade: so both are asked with the kinds.
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    version: String,
    cluster_id: String,
    catalog: Arc<Catalog>,
    apis: Arc<Vec<String>>,
}

impl Prober {
    /// Nothing known yet.
    pub fn new(kinds: Arc<Kinds>) -> Self {
        Self { kinds, known: None }
    }

    /// Asks once; at most [`PROBE_LIMIT`] for readiness, and as much again for the rest.
    pub async fn probe(&mut self, client: &Client) -> Result<Probe, ProbeFailure> {
        let (ready, message) = ready(client).await?;
        let stale = self.kinds.held().is_none_or(|(_, age)| age > KINDS_AGE_MAX);
        if (stale || self.known.is_none()) && ready {
            self.learn(client).await.map_err(failure)?;
        }
        self.take_catalog();
        let known = self.known.as_ref();
        Ok(Probe {
            ready,
            message,
            version: known.map_or(String::new(), |k| k.version.clone()),
            cluster_id: known.map_or(String::new(), |k| k.cluster_id.clone()),
            apis: known.map_or_else(Arc::default, |k| k.apis.clone()),
        })
    }

    async fn learn(&mut self, client: &Client) -> Result<(), Error> {
        let version = within(
            PROBE_LIMIT,
            "ask for the version",
            client.apiserver_version(),
        )
        .await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let system = within(
            PROBE_LIMIT,
            "read Namespace kube-system",
            namespaces.get("kube-system"),
        )
        .await?;
        let catalog = self.kinds.refresh(client).await?;
        self.known = Some(Known {
            version: version.git_version,
            cluster_id: system.metadata.uid.unwrap_or_default(),
            apis: Arc::new(catalog.namespaced()),
            catalog,
        });
        Ok(())
    }

    /// The executor may have asked for the kinds in between.
    fn take_catalog(&mut self) {
        if let (Some(known), Some((catalog, _))) = (&mut self.known, self.kinds.held())
            && !Arc::ptr_eq(&known.catalog, &catalog)
        {
            let apis = catalog.namespaced();
            if apis != *known.apis {
                known.apis = Arc::new(apis);
            }
            known.catalog = catalog;
        }
    }
}

async fn ready(client: &Client) -> Result<(bool, String), ProbeFailure> {
    let request = Request::get("/readyz")
        .body(Vec::new())
        .map_err(|e| ProbeFailure {
            class: Class::Bug,
            message: e.to_string(),
        })?;
    let asked = within(PROBE_LIMIT, "ask /readyz", client.request_text(request)).await;
    match asked {
        Ok(_) => Ok((true, String::new())),
        Err(Error::Request { source, .. }) if is_not_ready(&source) => {
            Ok((false, format!("/readyz: {}", answer(&source))))
        }
        Err(error) => Err(failure(error)),
    }
}

/// An API server that answers that it is not ready is there.
fn is_not_ready(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code >= 500)
}

fn failure(error: Error) -> ProbeFailure {
    let class = match error.class() {
        Class::Denied => Class::Denied,
        _ => Class::Unreachable,
    };
    ProbeFailure {
        class,
        message: describe(&error),
    }
}
