//! The TLS listener of the aggregated API: its certificate, its registration, its connections.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use heyun_crds::labels::SYSTEM_NAMESPACE;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::caller::{CallerError, FrontProxy};
use super::routes::{self, PeerName};
use super::tls::{self, Serving, TlsError};

/// Name of the APIService of the aggregated API.
pub const API_SERVICE: &str = "v1alpha1.query.heyun.dev";
/// DNS name that the API server expects in our certificate.
pub const SERVICE_NAME: &str = "heyun-hub.heyun-system.svc";
/// Secret in the hub's own namespace that holds the serving certificate.
pub const TLS_SECRET: &str = "heyun-query-tls";
/// Longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the APIService is looked at while it holds our CA, and while it does not.
const REGISTERED: Duration = Duration::from_secs(30);
const UNREGISTERED: Duration = Duration::from_secs(1);

/// Why the aggregated API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The hub's API server refused or did not answer.
    #[error("the API server refused while the aggregated API was set up")]
    Api(#[from] kube::Error),
    /// The front proxy's settings are unusable.
    #[error(transparent)]
    Settings(#[from] CallerError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be bound.
    #[error("the address of the aggregated API cannot be bound")]
    Bind(#[from] std::io::Error),
}

/// Reads what the API server publishes about its front proxy.
pub async fn front_proxy(client: &Client) -> Result<FrontProxy, ListenError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let map = maps.get("extension-apiserver-authentication").await?;
    Ok(FrontProxy::from_config(&map)?)
}

/// The certificate that all replicas of the hub serve with: the first makes it and keeps it in a
/// Secret, for the APIService believes only one.
async fn certificate(client: &Client) -> Result<Serving, ListenError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    if let Some(secret) = secrets.get_opt(TLS_SECRET).await? {
        return Ok(Serving::from_secret(&secret)?);
    }
    let fresh = Serving::generate(vec![SERVICE_NAME.into()])?;
    match secrets
        .create(&PostParams::default(), &fresh.to_secret(TLS_SECRET))
        .await
    {
        Ok(_) => Ok(fresh),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            Ok(Serving::from_secret(&secrets.get(TLS_SECRET).await?)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps our CA in the APIService, so that the API server believes our certificate: also when the
/// APIService is installed after the hub has started, or anew. Where it stands already, this only
/// reads.
async fn keep_registered(client: Client, ca_pem: String, stop: CancellationToken) {
    loop {
        let pause = match register(&client, &ca_pem).await {
            Ok(true) => REGISTERED,
            Ok(false) => UNREGISTERED,
            Err(error) => {
                warn!(%error, name = API_SERVICE, "the APIService could not be told of our certificate");
                UNREGISTERED
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Puts our CA into the APIService; false while there is none, when no one can be served.
async fn register(client: &Client, ca_pem: &str) -> Result<bool, kube::Error> {
    let services: Api<APIService> = Api::all(client.clone());
    let Some(service) = services.get_opt(API_SERVICE).await? else {
        return Ok(false);
    };
    let wanted = ByteString(ca_pem.as_bytes().to_vec());
    if service.spec.and_then(|spec| spec.ca_bundle) == Some(wanted.clone()) {
        return Ok(true);
    }
    let patch = json!({"spec": {"caBundle": wanted}});
    services
        .patch(API_SERVICE, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(true)
}

/// Serves the aggregated API until `stop`.
///
/// # Errors
/// When it cannot be set up; a connection that fails ends alone.
pub async fn serve(
    address: SocketAddr,
    api: routes::Api,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let serving = certificate(&api.client).await?;
    let acceptor = TlsAcceptor::from(serving.config(&api.proxy.ca)?);
    let listener = TcpListener::bind(address).await?;
    let connections = TaskTracker::new();
    let registration = keep_registered(api.client.clone(), serving.ca_pem, stop.clone());
    connections.spawn(registration);
    let router = routes::router(api);
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => { warn!(%error, "accept"); continue; }
            },
        };
        let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            if let Err(error) = connection(stream, acceptor, router, stop).await {
                debug!(%error, "a connection to the aggregated API ended");
            }
        });
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: axum::Router,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let name = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|certs| certs.first())
        .and_then(tls::common_name)
        .unwrap_or_default();
    let service = TowerToHyperService::new(router.layer(Extension(PeerName(name))));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => ended?,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await?;
        }
    }
    Ok(())
}
