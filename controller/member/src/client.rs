//! Clients of members: the hub's own, and the tenant's that it impersonates.
//!
//! Tenant content has one way to a member, [`TenantClient`]: it acts as `heyun-deployer` of one
//! namespace and reaches no other, so that the member's own RBAC decides. There is no way from a
//! `TenantClient` back to the hub's own account.

use std::fmt;
use std::time::Duration;

use heyun_crds::labels::DEPLOYER;
use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue, Request};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject};
use kube::client::Body;
use kube::{Api, Client, Config, Resource};

use crate::credential::{Credential, Identity};
use crate::error::Error;

/// How long a connection may take to be made.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may be silent. API servers send a bookmark to each watch every minute,
/// so a peer that is dead for longer than this is found out.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// How long one request to a member may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(15);

/// The user agent of every request.
pub const AGENT: &str = concat!("heyun/", env!("CARGO_PKG_VERSION"));

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// A client with the hub's own account on the member. It dials only when it is used.
///
/// kube's own retries are off: they would hold one call for minutes, and the requeue table
/// decides when something is tried again. Must be called within a tokio runtime.
pub fn connect(credential: &Credential) -> Result<Client, Error> {
    let doing = || format!("make a client for {}", credential.server());
    let server = credential
        .server()
        .parse()
        .map_err(|e: http::uri::InvalidUri| {
            Error::request(doing(), kube::Error::HttpError(e.into()))
        })?;
    let mut config = Config::new(server);
    config.root_cert = Some(credential.ca_der());
    match credential.identity() {
        Identity::Token(token) => {
            config.auth_info.token = Some(token.reveal().to_owned().into());
        }
        Identity::Certificate { certificate, key } => {
            config.auth_info.client_certificate_data = Some(Credential::base64_of(certificate));
            config.auth_info.client_key_data = Some(Credential::base64_of(key.reveal()).into());
        }
    }
    connect_config(config).map_err(|e| Error::request(doing(), e))
}

/// A client from a configuration whose source is trusted (the process' own), with the same
/// timeouts and without kube's retries.
pub fn connect_config(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(SILENCE_LIMIT);
    config.write_timeout = Some(SILENCE_LIMIT);
    config.reset_reader_on_write = true;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(AGENT)));
    Client::try_from(config)
}

/// Waits for a request, but no longer than `limit`.
pub async fn within<T>(
    limit: Duration,
    doing: impl Into<String>,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::request(doing, error)),
        Err(_) => Err(Error::Deadline {
            doing: doing.into(),
            limit,
        }),
    }
}

/// A client that acts as `heyun-deployer` of one namespace on a member: the only way of tenant
/// content to a member. A clone shares its connections, as do all of one member.
#[derive(Clone)]
pub struct TenantClient {
    client: Client,
    namespace: String,
}

impl fmt::Debug for TenantClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantClient")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl TenantClient {
    /// Impersonates the deployer of `namespace`. Must be called within a tokio runtime.
    ///
    /// Only the user is named: the API server then derives a service account's groups itself,
    /// whereas each group that is named would need a permission of its own that no RoleBinding
    /// can give.
    pub fn impersonating(base: &Client, namespace: &str) -> Result<Self, Error> {
        let user = format!("system:serviceaccount:{namespace}:{DEPLOYER}");
        let user = HeaderValue::from_str(&user).map_err(|e| {
            Error::request(
                format!("impersonate {user}"),
                kube::Error::HttpError(http::Error::from(e)),
            )
        })?;
        let base = base.clone();
        let service = tower::service_fn(move |mut request: Request<Body>| {
            let base = base.clone();
            request.headers_mut().insert(IMPERSONATE_USER, user.clone());
            async move { base.send(request).await }
        });
        Ok(Self {
            client: Client::new(service, namespace),
            namespace: namespace.to_owned(),
        })
    }

    /// The one namespace it reaches.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Objects of a namespaced kind in this namespace.
    pub fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, kind)
    }

    /// Objects of a kind known at compile time in this namespace.
    pub fn typed<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;
    use crate::error::{Class, Classify as _};

    type Notes = Arc<Mutex<Vec<(String, String)>>>;

    /// A client whose server answers 404 to all and notes who asked for what.
    fn noting() -> (Client, Notes) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = seen.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let user = request.headers().get(IMPERSONATE_USER).cloned();
            let user = user.map_or(String::new(), |v| v.to_str().unwrap().to_owned());
            notes
                .lock()
                .unwrap()
                .push((user, request.uri().path().to_owned()));
            let body = br#"{"kind":"Status","status":"Failure","reason":"NotFound","code":404}"#;
            let answer = http::Response::builder()
                .status(404)
                .body(Body::from(body.to_vec()));
            std::future::ready(answer)
        });
        (Client::new(service, "default"), seen)
    }

    #[tokio::test]
    async fn a_tenant_client_acts_as_the_deployer_of_its_namespace_and_shares_the_base() {
        let (base, seen) = noting();
        let tenant = TenantClient::impersonating(&base, "gz-a").unwrap();
        assert!(
            tenant
                .typed::<ConfigMap>()
                .get_opt("x")
                .await
                .unwrap()
                .is_none()
        );
        let own: Api<ConfigMap> = Api::namespaced(base, "gz-a");
        assert!(own.get_opt("x").await.unwrap().is_none());
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].0, "system:serviceaccount:gz-a:heyun-deployer");
        assert_eq!(seen[0].1, "/api/v1/namespaces/gz-a/configmaps/x");
        assert_eq!(seen[1].0, "", "the hub's own account impersonates nobody");
    }

    #[tokio::test]
    async fn a_call_without_an_answer_is_unreachable_after_its_limit() {
        let call = std::future::pending::<Result<(), kube::Error>>();
        let error = within(Duration::from_millis(5), "get Deployment/web", call)
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Unreachable);
        assert!(error.to_string().contains("get Deployment/web"), "{error}");
    }
}
