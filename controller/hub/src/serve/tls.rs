//! TLS of the aggregated API: a certificate of our own, client certificates of the front proxy only.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate for the Service in front of the hub, and the CA that a caller must trust.
pub struct Serving {
    /// PEM of the certificate; self-signed, so also the CA bundle of the APIService.
    pub ca_pem: String,
    key_pem: String,
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be made.
    #[error("no serving certificate could be made")]
    Make(#[from] rcgen::Error),
    /// The front proxy's CA is not PEM.
    #[error("the front proxy's CA in extension-apiserver-authentication is not PEM: {0}")]
    Ca(String),
    /// The kept certificate cannot be read.
    #[error(
        "the Secret heyun-system/heyun-query-tls cannot be read ({0}): delete it, and it is made anew"
    )]
    Stored(String),
    /// The pieces do not fit together.
    #[error("TLS cannot be set up")]
    Config(#[from] rustls::Error),
}

impl Serving {
    /// Makes a fresh self-signed certificate for these names.
    pub fn generate(names: Vec<String>) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let cert = params.self_signed(&key)?;
        Self::from_pem(cert.pem(), key.serialize_pem())
    }

    fn from_pem(ca_pem: String, key_pem: String) -> Result<Self, TlsError> {
        let cert = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|e| TlsError::Stored(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|e| TlsError::Stored(e.to_string()))?;
        Ok(Self {
            ca_pem,
            key_pem,
            cert,
            key,
        })
    }

    /// Reads a certificate that [`Serving::to_secret`] wrote.
    pub fn from_secret(secret: &Secret) -> Result<Self, TlsError> {
        let text = |key: &str| {
            secret
                .data
                .as_ref()
                .and_then(|d| d.get(key))
                .and_then(|v| String::from_utf8(v.0.clone()).ok())
                .ok_or_else(|| TlsError::Stored(format!("key `{key}` is missing")))
        };
        Self::from_pem(text("tls.crt")?, text("tls.key")?)
    }

    /// The Secret that keeps this certificate.
    pub fn to_secret(&self, name: &str) -> Secret {
        let pair = [("tls.crt", &self.ca_pem), ("tls.key", &self.key_pem)];
        let data = pair
            .into_iter()
            .map(|(k, v)| (k.to_owned(), ByteString(v.clone().into_bytes())));
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data.collect()),
            ..Secret::default()
        }
    }

    /// A server that lets in none but the front proxy.
    pub fn config(&self, front_proxy_ca: &str) -> Result<Arc<ServerConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(front_proxy_ca.as_bytes()) {
            let cert = cert.map_err(|e| TlsError::Ca(e.to_string()))?;
            roots.add(cert)?;
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .map_err(|e| TlsError::Ca(e.to_string()))?;
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.cert.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The common name of a verified client certificate.
pub fn common_name(cert: &CertificateDer<'_>) -> Option<String> {
    let (_, cert) = X509Certificate::from_der(cert).ok()?;
    let name = cert.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_proxy_without_a_ca_is_refused() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let serving = Serving::generate(vec!["heyun-hub.heyun-system.svc".into()]).unwrap();
        assert!(serving.ca_pem.starts_with("-----BEGIN CERTIFICATE"));
        assert!(serving.config("not pem").is_err());
        assert!(serving.config(&serving.ca_pem).is_ok());
    }
}
