//! Certificates and kubeconfigs of one cluster.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::error::IoContext;
use crate::{Error, Result};

/// The one name that may speak for others through the front proxy.
pub(crate) const FRONT_PROXY: &str = "front-proxy-client";

/// The folder of a cluster's keys.
pub(crate) struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes authorities and keys for an API server at this address.
    ///
    /// The front proxy has an authority of its own: whoever holds its certificate may claim to be
    /// anyone, so no client certificate may pass for it.
    pub(crate) fn create(dir: &Path, ip: Ipv4Addr) -> Result<Self> {
        fs::create_dir_all(dir).io(|| format!("making {}", dir.display()))?;
        let pki = Self::open(dir);
        for authority in ["ca", "front-proxy-ca"] {
            pki.authority(authority)?;
        }
        pki.server(ip)?;
        pki.issue("front-proxy-ca", FRONT_PROXY, FRONT_PROXY, None)?;
        let key = KeyPair::generate().map_err(|source| certificate("service accounts", source))?;
        write_private(&dir.join("sa.key"), &key.serialize_pem())?;
        write_private(&dir.join("sa.pub"), &key.public_key_pem())?;
        Ok(pki)
    }

    /// One that [`Pki::create`] made.
    pub(crate) fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// A file of it, as text for a command line.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// A kubeconfig that holds everything itself, for a client of this name and group.
    pub(crate) fn kubeconfig(
        &self,
        cluster: &str,
        server: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<String> {
        let (cert, key) = self.sign("ca", user, group)?;
        let path = self.dir.join("ca.crt");
        let ca = fs::read(&path).io(|| format!("reading {}", path.display()))?;
        let (ca, cert, key) = (
            BASE64_STANDARD.encode(ca),
            BASE64_STANDARD.encode(cert),
            BASE64_STANDARD.encode(key),
        );
        // JSON is YAML: the name of a user may hold anything.
        let user = serde_json::Value::from(user);
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\nclusters:\n- name: {cluster}\n  \
             cluster:\n    server: {server}\n    certificate-authority-data: {ca}\nusers:\n- name: {user}\n  \
             user:\n    client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: {cluster}\n  \
             context:\n    cluster: {cluster}\n    user: {user}\n"
        ))
    }

    fn authority(&self, name: &str) -> Result<()> {
        let mut params = params(name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let key = KeyPair::generate().map_err(|source| certificate(name, source))?;
        let cert = params
            .self_signed(&key)
            .map_err(|source| certificate(name, source))?;
        self.write_pair(name, &cert.pem(), &key.serialize_pem())
    }

    fn server(&self, ip: Ipv4Addr) -> Result<()> {
        let mut params = params("kube-apiserver")?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let service = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
        ];
        for name in service {
            let name = name
                .try_into()
                .map_err(|source| certificate(name, source))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        for ip in [ip, Ipv4Addr::new(10, 96, 0, 1)] {
            params
                .subject_alt_names
                .push(SanType::IpAddress(IpAddr::V4(ip)));
        }
        let (cert, key) = self.sign_params("ca", "kube-apiserver", params)?;
        self.write_pair("apiserver", &cert, &key)
    }

    fn issue(&self, authority: &str, file: &str, user: &str, group: Option<&str>) -> Result<()> {
        let (cert, key) = self.sign(authority, user, group)?;
        self.write_pair(file, &cert, &key)
    }

    fn sign(&self, authority: &str, user: &str, group: Option<&str>) -> Result<(String, String)> {
        let mut params = params(user)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        self.sign_params(authority, user, params)
    }

    fn sign_params(
        &self,
        authority: &str,
        who: &str,
        mut params: CertificateParams,
    ) -> Result<(String, String)> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let path = self.dir.join(format!("{authority}.key"));
        let signing = fs::read_to_string(&path).io(|| format!("reading {}", path.display()))?;
        let signing =
            KeyPair::from_pem(&signing).map_err(|source| certificate(authority, source))?;
        // An authority's name is all that a signature takes from its certificate.
        let issuer = Issuer::new(self::params(authority)?, signing);
        let key = KeyPair::generate().map_err(|source| certificate(who, source))?;
        let cert = params
            .signed_by(&key, &issuer)
            .map_err(|source| certificate(who, source))?;
        Ok((cert.pem(), key.serialize_pem()))
    }

    fn write_pair(&self, name: &str, cert: &str, key: &str) -> Result<()> {
        write_private(&self.dir.join(format!("{name}.crt")), cert)?;
        write_private(&self.dir.join(format!("{name}.key")), key)
    }
}

fn params(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(|e| certificate(name, e))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A fixed span: nothing here depends on the machine's clock.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    Ok(params)
}

fn certificate(who: &str, source: rcgen::Error) -> Error {
    Error::Certificate {
        who: who.to_owned(),
        source,
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options
        .open(path)
        .io(|| format!("making {}", path.display()))?;
    file.write_all(text.as_bytes())
        .io(|| format!("writing {}", path.display()))
}
