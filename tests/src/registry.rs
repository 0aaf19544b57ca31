//! Real registries on loopback: the CNCF's Distribution, filled over its own API.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use heyun_sandbox::{Cache, Fleet, Process, Progress, Tool, eventually, tool};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who may read where [`Auth::Basic`] asks.
pub const USER: &str = "heyun-hub";
/// The password of [`USER`].
pub const PASSWORD: &str = "s3cret-of-the-hub";
/// The two as an htpasswd file: bcrypt of the least cost.
const HTPASSWD: &str = "heyun-hub:$2a$04$ctsWXX55JrpPk21e6/DP0.yquBFQ96Qfyl1YZPN2NtVy4R/htYr8.\n";
/// Longest time until a registry takes connections.
const SOON: Duration = Duration::from_secs(30);

/// Whom a registry asks for.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Nobody.
    Open,
    /// [`USER`], by name and password.
    Basic,
    /// Who has a token of this realm, signed with the key of this certificate (PEM).
    Token {
        /// Where tokens are had.
        realm: String,
        /// File of the certificate.
        certificate: PathBuf,
    },
}

/// A registry that is not started yet: its address, its folder, its certificate.
#[derive(Debug)]
pub struct Registry {
    /// Host and port, as images name it.
    pub host: String,
    folder: PathBuf,
    tls: bool,
}

/// A registry that runs as long as this is held.
#[derive(Debug)]
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its standard input ends it: so it does with this process, however that ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Host and port of a registry on loopback, which nobody else gets.
pub fn address() -> String {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    // Beyond the blocks of fleets: each process a net, each registry an address there.
    let ip = Ipv4Addr::new(127, 192 + high % 64, low, 1 + number);
    format!("{ip}:5000")
}

impl Registry {
    /// A registry at an address of its own, in a new folder; with `tls`, behind a certificate of an
    /// authority of its own.
    pub fn new(folder: &Path, tls: bool) -> Self {
        Self::at(address(), folder, tls)
    }

    /// A registry at an address that [`address`] gave.
    pub fn at(host: String, folder: &Path, tls: bool) -> Self {
        let (ip, _) = host.split_once(':').expect("HOST:PORT");
        let folder = folder.join(format!("registry-{ip}"));
        fs::create_dir_all(folder.join("data")).expect("a folder");
        if tls {
            certificates(&folder, ip.parse().expect("an address"));
        }
        Self { host, folder, tls }
    }

    /// File of the authority that its certificate comes from.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Another that keeps the same images.
    #[must_use]
    pub fn twin(&self, folder: &Path, tls: bool) -> Self {
        let twin = Self::new(folder, tls);
        let data = twin.folder.join("data");
        fs::remove_dir(&data).expect("an empty folder");
        std::os::unix::fs::symlink(self.folder.join("data"), data).expect("a link");
        twin
    }

    /// Starts it, and waits until it takes connections.
    pub fn start(&self, auth: &Auth) -> Running {
        let argv = self.command(auth);
        let mut shell = Command::new("/bin/sh");
        shell
            // The shell ends when the registry has: one that is told to may answer on for a while.
            .args(["-c", "\"$@\" & read -r _; kill $!; wait $!", "sh"])
            .args(&argv);
        let log = fs::File::create(self.folder.join("registry.log")).expect("a log");
        let child = shell
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a registry starts");
        let running = Running(child);
        self.wait();
        running
    }

    /// Starts it as a process of a fleet, which it ends with.
    pub fn start_with(&self, fleet: &Fleet, auth: &Auth) -> Process {
        let env = BTreeMap::from([("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())]);
        let process = fleet.spawn("registry", &self.command(auth), &env);
        let process = process.expect("a registry starts");
        self.wait();
        process
    }

    fn wait(&self) {
        let what = format!("the registry at {}", self.host);
        eventually(&what, SOON, Some(&self.folder), || {
            TcpStream::connect(&self.host)
                .map(drop)
                .map_err(|e| e.to_string())
        })
        .unwrap_or_else(|e| panic!("{e}"));
    }

    fn command(&self, auth: &Auth) -> [String; 3] {
        let cache = Cache::locate().expect("a cache");
        let program = tool(&cache, Tool::Registry, &Progress::stderr()).expect("a registry");
        let file = |name: &str| self.folder.join(name);
        let mut http = json!({"addr": self.host, "secret": "of this test"});
        if self.tls {
            http["tls"] = json!({"certificate": file("server.pem"), "key": file("server.key")});
        }
        let mut config = json!({
            "version": "0.1", "log": {"level": "warn"}, "http": http,
            "storage": {"filesystem": {"rootdirectory": file("data")}},
        });
        match auth {
            Auth::Open => {}
            Auth::Basic => {
                fs::write(file("htpasswd"), HTPASSWD).expect("a file");
                config["auth"] = json!({"htpasswd": {"realm": "heyun", "path": file("htpasswd")}});
            }
            Auth::Token { realm, certificate } => {
                config["auth"] = json!({"token": {
                    "realm": realm, "service": self.host, "issuer": "heyun-tests",
                    "rootcertbundle": certificate,
                }});
            }
        }
        fs::write(file("config.json"), config.to_string()).expect("its configuration");
        [
            program.display().to_string(),
            "serve".to_owned(),
            file("config.json").display().to_string(),
        ]
    }

    /// Puts an image into it while it runs without TLS and asks nobody: an index of these platforms,
    /// or without `index` the image for the first alone. Answers its digest.
    pub async fn push(
        &self,
        repository: &str,
        tag: &str,
        platforms: &[&str],
        index: bool,
    ) -> String {
        let push = Push {
            base: format!("http://{}/v2/{repository}", self.host),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
        };
        let mut all = Vec::new();
        for platform in platforms {
            let (body, mut descriptor) = push.image(platform).await;
            let (os, architecture) = platform.split_once('/').expect("OS/ARCHITECTURE");
            descriptor["platform"] = json!({"os": os, "architecture": architecture});
            if !index {
                return push.manifest(tag, &body).await;
            }
            let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
            push.manifest(&digest, &body).await;
            all.push(descriptor);
        }
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": all,
        });
        push.manifest(tag, &index).await
    }
}

/// A repository that images are put into.
struct Push {
    base: String,
    http: reqwest::Client,
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

impl Push {
    /// The manifest of an image for a platform, and its descriptor; its configuration is there.
    async fn image(&self, platform: &str) -> (Value, Value) {
        let (os, architecture) = platform.split_once('/').expect("OS/ARCHITECTURE");
        let config = json!({
            "os": os, "architecture": architecture, "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let config = config.to_string();
        let digest = digest(config.as_bytes());
        let begun = self
            .http
            .post(format!("{}/blobs/uploads/", self.base))
            .send()
            .await;
        let begun = begun.expect("an upload begins");
        let place = begun.headers()["location"]
            .to_str()
            .expect("a place")
            .to_owned();
        let sign = if place.contains('?') { '&' } else { '?' };
        let length = config.len();
        let put = self
            .http
            .put(format!("{place}{sign}digest={digest}"))
            .body(config);
        let put = put.send().await.expect("an upload ends");
        assert!(put.status().is_success(), "{}", put.status());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest, "size": length,
            },
        });
        let text = manifest.to_string();
        let descriptor = json!({
            "mediaType": IMAGE, "digest": self::digest(text.as_bytes()), "size": text.len(),
        });
        (manifest, descriptor)
    }

    async fn manifest(&self, reference: &str, body: &Value) -> String {
        let text = body.to_string();
        let digest = digest(text.as_bytes());
        let kind = body["mediaType"].as_str().expect("a media type").to_owned();
        let put = self
            .http
            .put(format!("{}/manifests/{reference}", self.base));
        let put = put.header("content-type", kind).body(text).send().await;
        let put = put.expect("a manifest is put");
        let status = put.status();
        assert!(status.is_success(), "{status}: {:?}", put.text().await);
        digest
    }
}

/// `sha256:` and the digest of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    let start = "sha256:".to_owned();
    Sha256::digest(bytes).iter().fold(start, |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

/// An authority that signs for itself: certificate as PEM, and its key.
pub fn authority(name: &str) -> (rcgen::Certificate, KeyPair) {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("a certificate"), key)
}

fn certificates(folder: &Path, address: Ipv4Addr) {
    let (authority, signing) = authority("registry authority");
    let issuer = Issuer::new(params("registry authority"), signing);
    let mut server = params("registry");
    server
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V4(address)));
    let key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    for (name, text) in [
        ("ca.pem", authority.pem()),
        ("server.pem", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
}
