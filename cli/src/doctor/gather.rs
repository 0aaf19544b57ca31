//! What is asked of the hub, each thing once.

use std::collections::BTreeMap;

use heyun_crds::install::{NAMESPACE, POLICIES, RBAC, REQUEST_POLICIES};
use heyun_crds::labels::{LEADER_LEASE, SYSTEM_NAMESPACE};
use heyun_crds::query::{QUERY_GROUP, QUERY_VERSION};
use http::Request;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::client::Body;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use super::{Fact, Facts, Server};
use crate::apply::{Applier, call, documents, title};
use crate::ask::{Hub, list};
use crate::error::{Error, Exit};

/// Asks for everything. What is refused or absent is a fact too.
pub async fn gather(hub: &Hub, now: Timestamp) -> Facts {
    let server = server(&hub.client, now).await;
    if let Err(error) = &server {
        return silent(error, now);
    }
    let applier = Applier::new(hub.client.clone());
    let (missing, missing_policies) = tokio::join!(
        missing(&applier, &[NAMESPACE, RBAC]),
        missing(&applier, &[POLICIES, REQUEST_POLICIES])
    );
    let (crds, lease, api_service, query, secrets) = tokio::join!(
        crds(hub),
        lease(&hub.client),
        api_service(&hub.client),
        query(&hub.client),
        secrets(&hub.client)
    );
    let (members, sketches, flavors, tenants) =
        tokio::join!(hub.all(None), hub.all(None), hub.all(None), hub.all(None));
    let (quotas, namespaces, workloads, works) =
        tokio::join!(hub.all(None), hub.all(None), hub.all(None), hub.all(None));
    Facts {
        now,
        server,
        crds,
        missing,
        missing_policies,
        lease,
        api_service,
        query,
        members,
        secrets,
        sketches,
        flavors,
        tenants,
        quotas,
        namespaces,
        workloads,
        works,
    }
}

/// Where the API server does not answer, nothing else is asked.
fn silent(error: &Error, now: Timestamp) -> Facts {
    let unknown = || Error::new(error.exit, "the hub's API server does not answer");
    Facts {
        now,
        server: Err(error.clone()),
        crds: Err(unknown()),
        missing: Err(unknown()),
        missing_policies: Err(unknown()),
        lease: Err(unknown()),
        api_service: Err(unknown()),
        query: Err(unknown()),
        members: Err(unknown()),
        secrets: Err(unknown()),
        sketches: Err(unknown()),
        flavors: Err(unknown()),
        tenants: Err(unknown()),
        quotas: Err(unknown()),
        namespaces: Err(unknown()),
        workloads: Err(unknown()),
        works: Err(unknown()),
    }
}

async fn server(client: &Client, now: Timestamp) -> Fact<Server> {
    let version = call("ask for the version", client.apiserver_version()).await?;
    let request = Request::get("/version")
        .body(Body::empty())
        .map_err(|e| Error::failure(e.to_string()))?;
    let answer = call("ask for the time", client.send(request)).await?;
    let date = answer
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok());
    let theirs = date
        .and_then(|date| rfc2822::parse(date).ok())
        .map(|time| time.timestamp());
    Ok(Server {
        version: version.git_version,
        skew: theirs.map(|theirs| theirs.as_second() - now.as_second()),
    })
}

async fn crds(hub: &Hub) -> Fact<Vec<CustomResourceDefinition>> {
    let all: Vec<CustomResourceDefinition> = hub.all(None).await?;
    Ok(all
        .into_iter()
        .filter(|crd| crd.spec.group == heyun_crds::GROUP)
        .collect())
}

/// Objects of these texts that are not on the hub.
async fn missing(applier: &Applier, texts: &[&str]) -> Fact<Vec<String>> {
    let mut names = Vec::new();
    for text in texts {
        for object in documents("the installation", text)? {
            let name = object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let api = applier.api(&object, SYSTEM_NAMESPACE).await?;
            let doing = format!("read {}", title(&object));
            if call(&doing, api.get_metadata_opt(name)).await?.is_none() {
                names.push(title(&object));
            }
        }
    }
    Ok(names)
}

async fn lease(client: &Client) -> Fact<Option<Lease>> {
    let api: Api<Lease> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    call("read the leader's Lease", api.get_opt(LEADER_LEASE)).await
}

async fn api_service(client: &Client) -> Fact<Option<APIService>> {
    let api: Api<APIService> = Api::all(client.clone());
    let name = format!("{QUERY_VERSION}.{QUERY_GROUP}");
    call("read the APIService", api.get_opt(&name)).await
}

/// An answer of whatever sort is one; only an API server that cannot reach the hub is none.
async fn query(client: &Client) -> Fact<()> {
    let request = Request::get(format!("/apis/{QUERY_GROUP}/{QUERY_VERSION}"))
        .body(Vec::new())
        .map_err(|e| Error::failure(e.to_string()))?;
    match call("ask the aggregated API", client.request_text(request)).await {
        Ok(_) => Ok(()),
        Err(error) if error.exit == Exit::Denied => Ok(()),
        Err(error) => Err(error),
    }
}

async fn secrets(client: &Client) -> Fact<BTreeMap<String, Secret>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let all = list(&api, None).await?;
    Ok(all
        .into_iter()
        .map(|secret| (secret.name_any(), secret))
        .collect())
}
