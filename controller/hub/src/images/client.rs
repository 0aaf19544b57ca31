//! Registries, their mirrors and their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use heyun_member::error::Class;
use heyun_plan::images::{self, Answer, ImageName, MANIFEST_TYPES, Version};
use reqwest::{Certificate, Client, Url, redirect};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::auth::{Challenge, Credentials, PullSecret, Token};
use super::config::{self, ConfigError, Listed, Unlisted};
use super::guard::PublicOnly;
use super::http::{Question, Said};
use super::{
    ANSWER_BYTES_MAX, ASK_LIMIT, ASKED_AT_ONCE, AT_ONCE, Failure, REQUEST_LIMIT, TOKEN_BYTES_MAX,
};

/// The registry of images that name none, and where its images are had.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A host that images are asked from.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// As images name it.
    pub(super) host: String,
    pub(super) http: Client,
    /// The configuration lists it.
    pub(super) listed: bool,
    /// It is asked over http.
    pub(super) insecure: bool,
    mirrors: Vec<String>,
    credentials: Option<Credentials>,
    permits: Arc<Semaphore>,
}

impl Endpoint {
    /// Whether this is its host, on whatever port.
    pub(super) fn is_on(&self, host: &str) -> bool {
        let own = self
            .host
            .rsplit_once(':')
            .map_or(self.host.as_str(), |(own, _)| own);
        own == host
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let scheme = if self.insecure { "http" } else { "https" };
        let host = if self.host == DOCKER_HUB.0 {
            DOCKER_HUB.1
        } else {
            &self.host
        };
        let url = Url::parse(&format!("{scheme}://{host}/v2/{path}"));
        url.map_err(|_| Failure::new(Class::Bug, format!("{} makes no URL", self.host)))
    }
}

/// The registries of the platform's configuration, ready to be asked.
pub struct Registries {
    listed: BTreeMap<String, Endpoint>,
    /// How others are asked; `None`: they are not.
    open: Option<Endpoint>,
    asked: Semaphore,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.listed.keys()).finish()
    }
}

impl Registries {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A file that cannot be read, a value that is wrong; each with place and fix.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config = config::load(path)?;
        let mut listed = BTreeMap::new();
        for (host, from) in config.listed {
            listed.insert(host.clone(), endpoint(host, from)?);
        }
        let mirrors = listed
            .values()
            .flat_map(|registry| registry.mirrors.clone());
        for mirror in mirrors.collect::<BTreeSet<_>>() {
            if !listed.contains_key(&mirror) {
                let from = Listed {
                    place: format!("the mirror {mirror}, which has no entry of its own"),
                    ..Listed::default()
                };
                listed.insert(mirror.clone(), endpoint(mirror, from)?);
            }
        }
        let open = match config.unlisted {
            Unlisted::Skip => None,
            Unlisted::Ask => Some(open()?),
        };
        Ok(Self {
            listed,
            open,
            asked: Semaphore::new(ASKED_AT_ONCE),
        })
    }

    /// Whether images of this registry are asked about at all.
    pub fn asks(&self, registry: &str) -> bool {
        self.open.is_some() || self.listed.contains_key(registry)
    }

    /// The platforms of an image, as `linux/arm64/v8`. Its mirrors are asked first, in order.
    ///
    /// # Errors
    /// None of them told; the message names each with what it said.
    pub async fn platforms(
        &self,
        image: &ImageName,
        pull: &[PullSecret],
    ) -> Result<BTreeSet<String>, Failure> {
        let own = &image.registry;
        let mirrors = self
            .listed
            .get(own)
            .map_or(&[][..], |listed| &listed.mirrors);
        let mut class = None;
        let mut said = Vec::new();
        for host in mirrors.iter().chain([own]) {
            let Some(endpoint) = self.endpoint(host) else {
                said.push(format!(
                    "{host} is not in the platform's configuration of registries"
                ));
                continue;
            };
            // Its own turn first: who waits for a slow host keeps no other from being asked.
            let _turn = endpoint.permits.acquire().await;
            let _asked = self.asked.acquire().await;
            let told = tokio::time::timeout(ASK_LIMIT, self.told(&endpoint, image, pull));
            let failure = match told.await {
                Ok(Ok(platforms)) => return Ok(platforms),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let message = format!("{host} does not answer in time");
                    Failure::new(Class::Unreachable, message)
                }
            };
            class = Class::soonest(class, Some(failure.class));
            said.push(failure.message);
        }
        Err(Failure::new(
            class.unwrap_or(Class::Denied),
            said.join(", "),
        ))
    }

    fn endpoint(&self, host: &str) -> Option<Endpoint> {
        if let Some(listed) = self.listed.get(host) {
            return Some(listed.clone());
        }
        let open = self.open.clone()?;
        Some(Endpoint {
            host: host.to_owned(),
            ..open
        })
    }

    /// The listed registry that a URL leads to.
    pub(super) fn at(&self, url: &Url) -> Option<&Endpoint> {
        let host = url.host_str()?;
        let named = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        self.listed.get(&named)
    }

    /// What one host tells.
    async fn told(
        &self,
        endpoint: &Endpoint,
        image: &ImageName,
        pull: &[PullSecret],
    ) -> Result<BTreeSet<String>, Failure> {
        let mut own = pull.iter();
        let credentials = own.find_map(|secret| secret.of(&endpoint.host, &image.repository));
        let mut asking = Asking {
            registries: self,
            endpoint,
            repository: &image.repository,
            credentials: credentials.or(endpoint.credentials.as_ref()),
            authorization: None,
        };
        let digest = match &image.version {
            Version::Digest(digest) => Some(digest.as_str()),
            Version::Tag(_) => None,
        };
        let place = format!("manifests/{}", image.version.as_str());
        let (content_type, body) = asking
            .get(&place, &MANIFEST_TYPES.join(", "), digest)
            .await?;
        let fault =
            |error: images::AnswerError| Failure::denied(format!("{}: {error}", endpoint.host));
        match images::manifest(content_type.as_deref(), &body).map_err(fault)? {
            Answer::Platforms(platforms) => Ok(platforms),
            Answer::Config(digest) => {
                let place = format!("blobs/{digest}");
                let (_, body) = asking.get(&place, "*/*", Some(&digest)).await?;
                images::config(&body).map_err(fault)
            }
        }
    }
}

/// One host, asked about one image.
struct Asking<'a> {
    registries: &'a Registries,
    endpoint: &'a Endpoint,
    repository: &'a str,
    credentials: Option<&'a Credentials>,
    /// What the host has asked for, once it has.
    authorization: Option<String>,
}

impl Asking<'_> {
    /// An answer below the repository; where its digest is given, one of that content.
    async fn get(
        &mut self,
        place: &str,
        accept: &str,
        digest: Option<&str>,
    ) -> Result<(Option<String>, Vec<u8>), Failure> {
        let host = &self.endpoint.host;
        let url = self.endpoint.url(&format!("{}/{place}", self.repository))?;
        // Once as it is, once with what was asked for.
        for _ in 0..2 {
            let question = Question {
                url: url.clone(),
                accept,
                authorization: self.authorization.as_deref(),
                most: ANSWER_BYTES_MAX,
            };
            let before = self.authorization.is_some();
            match self.registries.ask(self.endpoint, question).await? {
                Said::Answer { content_type, body } => {
                    if digest.is_some_and(|digest| digest != sha256(&body)) {
                        let message =
                            format!("{host} answers with something else than the digest names");
                        return Err(Failure::denied(message));
                    }
                    return Ok((content_type, body));
                }
                Said::Challenged(Some(challenge)) if !before => {
                    self.authorization = Some(self.authorize(challenge).await?);
                }
                Said::Challenged(_) => break,
            }
        }
        Err(self.unknown())
    }

    fn unknown(&self) -> Failure {
        let host = &self.endpoint.host;
        Failure::denied(match self.credentials {
            Some(_) => format!("{host} refuses the credentials that the hub has for it (401)"),
            None => format!(
                "{host} asks for credentials (401): name a Secret with them in imagePullSecrets, \
                 or have the platform configure some"
            ),
        })
    }

    async fn authorize(&self, challenge: Challenge) -> Result<String, Failure> {
        match challenge {
            Challenge::Basic => match self.credentials {
                Some(credentials) => Ok(credentials.basic()),
                None => Err(self.unknown()),
            },
            Challenge::Bearer { realm, service } => self.token(&realm, service).await,
        }
    }

    /// A token to read this repository and for nothing else, whatever the challenge asks for.
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, Failure> {
        let host = &self.endpoint.host;
        let malformed = || Failure::denied(format!("{host} names no URL to have a token from"));
        let mut url = Url::parse(realm).map_err(|_| malformed())?;
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let scope = format!("repository:{}:pull", self.repository);
        url.query_pairs_mut().append_pair("scope", &scope);
        let basic = self.credentials.map(Credentials::basic);
        let question = Question {
            url,
            accept: "application/json",
            authorization: basic.as_deref(),
            most: TOKEN_BYTES_MAX,
        };
        match self.registries.ask(self.endpoint, question).await? {
            Said::Challenged(_) => Err(self.unknown()),
            Said::Answer { body, .. } => {
                let token: Option<Token> = serde_json::from_slice(&body).ok();
                token
                    .and_then(|token| token.bearer())
                    .ok_or_else(|| Failure::denied(format!("the realm of {host} gives no token")))
            }
        }
    }
}

fn sha256(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let start = "sha256:".to_owned();
    Sha256::digest(body).iter().fold(start, |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .timeout(REQUEST_LIMIT)
        .connect_timeout(REQUEST_LIMIT)
        .pool_max_idle_per_host(AT_ONCE)
        .user_agent(concat!("heyun-hub/", env!("CARGO_PKG_VERSION")))
}

fn endpoint(host: String, from: Listed) -> Result<Endpoint, ConfigError> {
    let mut http = builder();
    let at = |problem: String, fix: &str| ConfigError::Value {
        place: format!("{}.caFile", from.place),
        problem,
        fix: fix.to_owned(),
    };
    let pem = "write certificates as PEM, each from BEGIN CERTIFICATE to END CERTIFICATE";
    if let Some(bytes) = &from.authorities {
        let authorities = Certificate::from_pem_bundle(bytes)
            .map_err(|_| at("holds no certificate as PEM".to_owned(), pem))?;
        if authorities.is_empty() {
            return Err(at("holds no certificate".to_owned(), pem));
        }
        // These and no others: who may speak for a registry is its own to say.
        http = http.tls_certs_only(authorities);
    } else if from.insecure {
        // No certificate is looked at, so none of the system's are needed.
        http = http.tls_certs_only([]);
    }
    let http = http.build().map_err(|error| {
        let problem = format!("makes no client: {}", heyun_member::error::describe(&error));
        at(problem, "name the authorities of the registry there")
    })?;
    Ok(Endpoint {
        host,
        http,
        listed: true,
        insecure: from.insecure,
        mirrors: from.mirrors,
        credentials: from.credentials,
        permits: Arc::new(Semaphore::new(AT_ONCE)),
    })
}

/// How registries are asked that are not listed.
fn open() -> Result<Endpoint, ConfigError> {
    let http = builder().dns_resolver(PublicOnly).build();
    let http = http.map_err(|error| ConfigError::Value {
        place: "unlisted".to_owned(),
        problem: format!(
            "Ask needs certificates of the system: {}",
            heyun_member::error::describe(&error)
        ),
        fix: "write unlisted: Skip, or have the image of the hub carry them".to_owned(),
    })?;
    Ok(Endpoint {
        host: String::new(),
        http,
        listed: false,
        insecure: false,
        mirrors: Vec::new(),
        credentials: None,
        permits: Arc::new(Semaphore::new(AT_ONCE)),
    })
}
