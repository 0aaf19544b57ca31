//! The client of the hub: its kubeconfig or service account, and a server-side deadline on writes.

use std::path::Path;
use std::time::Duration;

use http::{Method, Request, Uri};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::leader::Term;

/// Longest time without an answer from the hub's API server for anything but a watch.
const READ_TIMEOUT: Duration = Duration::from_secs(330);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be read or used.
    #[error("kubeconfig {path} cannot be used")]
    Kubeconfig {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is no kubeconfig and no service account.
    #[error("neither --kubeconfig nor a pod's service account is there")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// The client cannot be made.
    #[error("the client cannot be made")]
    Client(#[source] Box<kube::Error>),
}

/// Connects to the hub. Retries are ours, by one table; so the client has none of its own.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let wrap = |source| ClientError::Kubeconfig {
                path: path.display().to_string(),
                source: Box::new(source),
            };
            let text = Kubeconfig::read_from(path).map_err(wrap)?;
            Config::from_custom_kubeconfig(text, &KubeConfigOptions::default())
                .await
                .map_err(wrap)?
        }
        None => Config::incluster().map_err(|e| ClientError::InCluster(Box::new(e)))?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(READ_TIMEOUT);
    Client::try_from(config).map_err(|e| ClientError::Client(Box::new(e)))
}

/// The same client with `?timeout=` on every write: the API server itself ends a write that
/// outlives the leader's right to make it.
pub fn with_write_deadline(client: &Client, deadline: Duration) -> Client {
    let namespace = client.default_namespace().to_owned();
    let base = client.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let base = base.clone();
        async move { base.send(bounded(request, deadline)).await }
    });
    Client::new(service, namespace)
}

/// The same client for as long as a term lasts: no write of a leader that slept is sent late.
///
/// What a Work reports is not fenced, for agents report it too; so whoever reports for a leader
/// must not outlive it. What is on its way when the term ends is the deadline's to end.
pub fn while_leading(client: &Client, term: &Term) -> Client {
    let namespace = client.default_namespace().to_owned();
    let (base, term) = (client.clone(), term.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (base, term) = (base.clone(), term.clone());
        async move {
            if request.method() != Method::GET && !term.may_write() {
                return Err(kube::Error::Service("no longer leading".into()));
            }
            base.send(request).await
        }
    });
    Client::new(service, namespace)
}

fn bounded(mut request: Request<Body>, deadline: Duration) -> Request<Body> {
    if request.method() != Method::GET
        && let Some(uri) = with_timeout(request.uri(), deadline)
    {
        *request.uri_mut() = uri;
    }
    request
}

fn with_timeout(uri: &Uri, deadline: Duration) -> Option<Uri> {
    let path = uri.path();
    let query = uri.query().filter(|q| !q.is_empty());
    let joined = match query {
        Some(query) => format!("{path}?{query}&timeout={}ms", deadline.as_millis()),
        None => format!("{path}?timeout={}ms", deadline.as_millis()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(joined.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_carry_a_deadline_and_reads_do_not() {
        let request = |method: Method, uri: &str| {
            Request::builder()
                .method(method)
                .uri(uri)
                .body(Body::empty())
                .unwrap()
        };
        let four = Duration::from_secs(4);
        let uri = |r: Request<Body>| r.uri().to_string();
        assert_eq!(
            uri(bounded(request(Method::POST, "/api/v1/x"), four)),
            "/api/v1/x?timeout=4000ms"
        );
        assert_eq!(
            uri(bounded(request(Method::PATCH, "/api/v1/x?a=b"), four)),
            "/api/v1/x?a=b&timeout=4000ms"
        );
        assert_eq!(
            uri(bounded(request(Method::GET, "/api/v1/x?watch=1"), four)),
            "/api/v1/x?watch=1"
        );
    }
}
