//! What the hub needs to dial into a member, and nothing else.
//!
//! A kubeconfig is a program in disguise: it can run commands, read files, skip TLS, go through
//! proxies and act as somebody else. [`Credential::from_kubeconfig`] reads the few fields that a
//! member needs and refuses all others by name. A credential is bound to one endpoint and one CA:
//! whoever changes a MemberCluster's endpoint does not get its token sent there.

mod kubeconfig;
mod pem;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use heyun_crds::labels;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest as _, Sha256};

use crate::hash::hex;

/// Key of the stored Secret: URL of the API server.
pub const KEY_SERVER: &str = "server";
/// Key of the stored Secret: CA certificates as PEM.
pub const KEY_CA: &str = "ca.crt";
/// Key of the stored Secret: bearer token.
pub const KEY_TOKEN: &str = "token";
/// Key of the stored Secret: client certificate as PEM.
pub const KEY_CERTIFICATE: &str = "tls.crt";
/// Key of the stored Secret: private key of the client certificate as PEM.
pub const KEY_PRIVATE_KEY: &str = "tls.key";
/// Annotation of the stored Secret: [`Credential::binding`].
pub const BINDING: &str = "heyun.dev/credential-binding";

/// Most bytes of a kubeconfig.
pub const KUBECONFIG_BYTES_MAX: usize = 1024 * 1024;

/// A credential is refused: the message names value, place and fix, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}; {fix}")]
pub struct CredentialError {
    /// Where it stands. Example: `users[admin].exec`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl CredentialError {
    fn new(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// Text that no log, error or status shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(String);

impl Sensitive {
    /// The text itself: only for what is sent to the member or stored in a Secret.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Sensitive {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How the hub proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A bearer token.
    Token(Sensitive),
    /// A client certificate.
    Certificate {
        /// The certificate and its chain, PEM.
        certificate: String,
        /// Its private key, PEM.
        key: Sensitive,
    },
}

/// What the hub needs to dial into a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// URL of the API server, normal form: `https://host:port[/path]`.
    server: String,
    /// CA certificates, PEM.
    ca: String,
    identity: Identity,
}

impl Credential {
    /// Checks the parts and puts them together.
    pub fn new(server: &str, ca: String, identity: Identity) -> Result<Self, CredentialError> {
        let server = normal_endpoint(server)
            .map_err(|problem| CredentialError::new("server", problem, HTTPS_FIX))?;
        pem::certificates(&ca).map_err(|problem| {
            CredentialError::new(
                "CA",
                problem,
                "give the CA of the API server as PEM certificates",
            )
        })?;
        match &identity {
            Identity::Token(token) => check_token(token.reveal())?,
            Identity::Certificate { certificate, key } => {
                pem::certificates(certificate).map_err(|problem| {
                    CredentialError::new("client certificate", problem, "give it as PEM")
                })?;
                pem::private_key(key.reveal()).map_err(|problem| {
                    CredentialError::new("client key", problem, "give it as unencrypted PEM")
                })?;
            }
        }
        // Editors and `kubectl` add line ends: they are no part of what it is.
        let ca = ca.trim().to_owned();
        let identity = match identity {
            Identity::Certificate { certificate, key } => Identity::Certificate {
                certificate: certificate.trim().to_owned(),
                key: key.reveal().trim().to_owned().into(),
            },
            token @ Identity::Token(_) => token,
        };
        Ok(Self {
            server,
            ca,
            identity,
        })
    }

    /// Reads the current context of a kubeconfig; everything but server, CA and token or client
    /// certificate is refused.
    pub fn from_kubeconfig(text: &str) -> Result<Self, CredentialError> {
        kubeconfig::read(text, None)
    }

    /// As [`Credential::from_kubeconfig`], for the context of that name.
    pub fn from_kubeconfig_context(text: &str, context: &str) -> Result<Self, CredentialError> {
        kubeconfig::read(text, Some(context))
    }

    /// Reads the stored form; refuses one whose server or CA was changed after it was written.
    pub fn from_secret(secret: &Secret) -> Result<Self, CredentialError> {
        let name = secret.metadata.name.as_deref().unwrap_or("?");
        let place = |key: &str| format!("Secret {}/{name}, key {key}", labels::SYSTEM_NAMESPACE);
        let read = |key: &str| -> Result<Option<String>, CredentialError> {
            let Some(ByteString(bytes)) = secret.data.as_ref().and_then(|data| data.get(key))
            else {
                return Ok(None);
            };
            String::from_utf8(bytes.clone())
                .map(|text| Some(text.trim_end_matches('\n').to_owned()))
                .map_err(|_| CredentialError::new(place(key), "is not text", REJOIN))
        };
        let need = |key: &str| -> Result<String, CredentialError> {
            read(key)?.ok_or_else(|| CredentialError::new(place(key), "is missing", REJOIN))
        };
        let identity = match (read(KEY_TOKEN)?, read(KEY_CERTIFICATE)?) {
            (Some(token), None) => Identity::Token(token.into()),
            (None, Some(certificate)) => Identity::Certificate {
                certificate,
                key: need(KEY_PRIVATE_KEY)?.into(),
            },
            (Some(_), Some(_)) => {
                let problem = "stands beside tls.crt, and one of the two must be chosen";
                return Err(CredentialError::new(place(KEY_TOKEN), problem, REJOIN));
            }
            (None, None) => {
                let problem = "is missing, and so is tls.crt";
                return Err(CredentialError::new(place(KEY_TOKEN), problem, REJOIN));
            }
        };
        let credential = Self::new(&need(KEY_SERVER)?, need(KEY_CA)?, identity).map_err(|e| {
            CredentialError {
                place: format!("Secret {name}, {}", e.place),
                ..e
            }
        })?;
        let bound = secret
            .metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get(BINDING));
        if bound.is_some_and(|bound| *bound != credential.binding()) {
            return Err(CredentialError::new(
                place(KEY_SERVER),
                "was changed after the credential was written, or the CA was",
                REJOIN,
            ));
        }
        Ok(credential)
    }

    /// The stored form: a Secret of that name in the hub's own namespace.
    pub fn to_secret(&self, name: &str) -> Secret {
        let mut data =
            BTreeMap::from([(KEY_SERVER, self.server.clone()), (KEY_CA, self.ca.clone())]);
        match &self.identity {
            Identity::Token(token) => {
                data.insert(KEY_TOKEN, token.reveal().to_owned());
            }
            Identity::Certificate { certificate, key } => {
                data.insert(KEY_CERTIFICATE, certificate.clone());
                data.insert(KEY_PRIVATE_KEY, key.reveal().to_owned());
            }
        }
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(labels::SYSTEM_NAMESPACE.to_owned()),
                labels: Some([(labels::MANAGED_BY.into(), labels::MANAGER.into())].into()),
                annotations: Some([(BINDING.to_owned(), self.binding())].into()),
                ..ObjectMeta::default()
            },
            data: Some(
                data.into_iter()
                    .map(|(k, v)| (k.to_owned(), ByteString(v.into_bytes())))
                    .collect(),
            ),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        }
    }

    /// URL of the API server in normal form.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// True when `endpoint` names the server this credential is bound to, however it is written.
    pub fn matches(&self, endpoint: &str) -> bool {
        normal_endpoint(endpoint).is_ok_and(|endpoint| endpoint == self.server)
    }

    /// SHA-256 over endpoint and CA, hexadecimal: what this credential is bound to.
    pub fn binding(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.server.as_bytes());
        for der in pem::certificates(&self.ca).unwrap_or_default() {
            hasher.update([0]);
            hasher.update(der);
        }
        hex(&hasher.finalize())
    }

    /// CA certificates as DER.
    pub(crate) fn ca_der(&self) -> Vec<Vec<u8>> {
        pem::certificates(&self.ca).unwrap_or_default()
    }

    /// Who the hub is there.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Client certificate and key as base64 of PEM, as a kubeconfig holds them.
    pub(crate) fn base64_of(text: &str) -> String {
        BASE64.encode(text)
    }
}

const HTTPS_FIX: &str = "give an https URL such as https://10.1.2.3:6443";
const REJOIN: &str = "write it again with `heyun cluster join`";

/// A token that could smuggle a header or is empty is refused.
fn check_token(token: &str) -> Result<(), CredentialError> {
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CredentialError::new(
            "token",
            "is empty or holds characters that a token cannot have",
            "give the token of a service account, without line breaks",
        ));
    }
    Ok(())
}

/// `https://host:port[/path]`, host in small letters, port always there; or what is wrong.
pub fn normal_endpoint(url: &str) -> Result<String, String> {
    let shown = url.rsplit('@').next().unwrap_or_default();
    let uri: http::Uri = url
        .trim()
        .parse()
        .map_err(|_| format!("{shown:?} is not a URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(format!("{shown:?} is not https"));
    }
    let authority = uri
        .authority()
        .ok_or_else(|| format!("{shown:?} names no host"))?;
    if authority.as_str().contains('@') {
        return Err("holds a user name or password before the host".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("{shown:?} names no host"));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(format!("{shown:?} has a query or fragment"));
    }
    let host = authority.host().to_ascii_lowercase();
    let port = authority.port_u16().unwrap_or(443);
    Ok(format!(
        "https://{host}:{port}{}",
        uri.path().trim_end_matches('/')
    ))
}

#[cfg(test)]
mod tests;
