//! What is installed on the hub cluster, in the order in which it must be.

use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;
use heyun_crds::install::{APISERVICE, NAMESPACE, POLICIES, RBAC, REQUEST_POLICIES};
use heyun_crds::labels::{HUB_ACCOUNT, SYSTEM_NAMESPACE};
use heyun_sandbox::Cluster;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::apply::{Applier, How, documents};
use crate::error::{Error, Exit, Result};
use crate::join::token;

/// How long a definition may take to be served.
const ESTABLISHED: Duration = Duration::from_secs(30);
/// Life of the hub's own token in a sandbox: a year.
const TOKEN_SECONDS: i64 = 365 * 24 * 3600;
const FORCE: How = How {
    force: true,
    dry_run: false,
};

/// Definitions, namespace, roles, policies, and the Service through which the aggregated API is
/// reached at `address`. Doing so again changes nothing.
///
/// # Errors
/// The first refusal of the API server; definitions that are not served in time.
pub async fn install(hub: &Client, address: &str) -> Result<()> {
    let applier = Applier::new(hub.clone());
    let crds = heyun_crds::all_crds();
    let applier_ref = &applier;
    let applied = crds.iter().map(|crd| async move {
        let object = serde_json::to_value(crd).map_err(|e| Error::failure(e.to_string()))?;
        applier_ref.apply(&object, "", FORCE).await
    });
    try_join_all(applied).await?;
    let all: Api<CustomResourceDefinition> = Api::all(hub.clone());
    for crd in &crds {
        let name = crd.metadata.name.as_deref().unwrap_or_default();
        let established = await_condition(all.clone(), name, conditions::is_crd_established());
        match tokio::time::timeout(ESTABLISHED, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Error::failure(format!("watching {name}: {error}"))),
            Err(_) => {
                let message = format!("{name} is not served after {ESTABLISHED:?}");
                return Err(Error::new(Exit::Timeout, message));
            }
        }
    }
    for (place, text) in [
        ("namespace", NAMESPACE),
        ("rbac", RBAC),
        ("policies", POLICIES),
        ("policies of requests", REQUEST_POLICIES),
    ] {
        applier.install(place, text).await?;
    }
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": HUB_ACCOUNT, "namespace": SYSTEM_NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": address},
    });
    applier
        .apply(&service, SYSTEM_NAMESPACE, FORCE)
        .await
        .map(|_| ())
}

/// Registers the aggregated API at this port of the hub's address: that of the hub that answers.
///
/// # Errors
/// The refusal of the API server.
pub async fn route_queries(hub: &Client, port: u16) -> Result<()> {
    let applier = Applier::new(hub.clone());
    for mut object in documents("apiservice", APISERVICE)? {
        object["spec"]["service"]["port"] = port.into();
        applier.apply(&object, "", FORCE).await?;
    }
    Ok(())
}

/// Writes a kubeconfig of the account `heyun-system/heyun-hub`: with exactly the rights of the
/// chart.
///
/// # Errors
/// If no token is made, or the file cannot be written.
pub async fn hub_kubeconfig(hub: &Client, cluster: &Cluster, path: &Path) -> Result<()> {
    use base64::Engine as _;
    let (token, _) = token(hub, TOKEN_SECONDS).await?;
    let ca = base64::engine::general_purpose::STANDARD.encode(cluster.ca()?);
    let config: Value = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "hub",
        "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": HUB_ACCOUNT}}],
        "clusters": [{"name": "hub", "cluster": {"server": cluster.server(), "certificate-authority-data": ca}}],
        "users": [{"name": HUB_ACCOUNT, "user": {"token": token}}],
    });
    write_private(path, &config.to_string())
        .map_err(|e| Error::failure(format!("{} cannot be written: {e}", path.display())))
}

/// Only this user may read it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
