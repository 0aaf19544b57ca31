//! Who asks a registry: credentials, where they come from, and what a registry asks for.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

/// A user and a password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// These two.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// The value of an `Authorization` header.
    pub(super) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }
}

/// What a Secret for pulling images says, by registry. Never shown.
#[derive(Clone, Default)]
pub struct PullSecret {
    auths: Vec<(String, String, Credentials)>,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PullSecret({} registries)", self.auths.len())
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Account>,
}

#[derive(Deserialize)]
struct Account {
    /// `USER:PASSWORD` in base64.
    #[serde(default, rename = "auth")]
    pair: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// Key of the payload of a Secret of type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

impl PullSecret {
    /// Reads a Secret of type `kubernetes.io/dockerconfigjson`. One of another type, or whose
    /// payload is malformed, has nothing for any registry.
    pub fn read(secret: &Secret) -> Self {
        let payload = secret
            .data
            .as_ref()
            .and_then(|data| data.get(DOCKER_CONFIG));
        payload
            .map(|bytes| Self::parse(&bytes.0))
            .unwrap_or_default()
    }

    /// Reads a Docker configuration.
    pub fn parse(bytes: &[u8]) -> Self {
        let Ok(config) = serde_json::from_slice::<DockerConfig>(bytes) else {
            return Self::default();
        };
        let each = config.auths.into_iter().filter_map(|(server, account)| {
            let (host, path) = server_of(&server);
            Some((host, path, credentials(account)?))
        });
        Self {
            auths: each.collect(),
        }
    }

    /// The credentials for a repository of a registry: of several, those with the longest path.
    pub(super) fn of(&self, registry: &str, repository: &str) -> Option<&Credentials> {
        let covers = |path: &str| {
            let rest = repository.strip_prefix(path);
            path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let fitting = self
            .auths
            .iter()
            .filter(|(host, path, _)| host == registry && covers(path));
        fitting
            .max_by_key(|(_, path, _)| path.len())
            .map(|(_, _, credentials)| credentials)
    }
}

/// Registry and path of an entry such as `https://index.docker.io/v1/`.
fn server_of(text: &str) -> (String, String) {
    let bare = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = match host.to_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    let path = path.trim_matches('/');
    let path = if matches!(path, "v1" | "v2") {
        ""
    } else {
        path
    };
    (host, path.to_owned())
}

fn credentials(account: Account) -> Option<Credentials> {
    if !account.username.is_empty() {
        return Some(Credentials::new(account.username, account.password));
    }
    let pair = BASE64_STANDARD.decode(account.pair.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(Credentials::new(user, password))
}

/// What a registry asks for with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token of this realm.
    Bearer {
        /// Where it is had.
        realm: String,
        /// For whom it is.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge in `WWW-Authenticate` headers: a token where one can be had.
    pub(super) fn of<'h>(headers: impl Iterator<Item = &'h str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let header = header.trim();
            let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let mut all = parameters(rest);
                if let Some(realm) = all.remove("realm") {
                    let service = all.remove("service");
                    return Some(Self::Bearer { realm, service });
                }
            }
        }
        basic
    }
}

/// `key="value"` pairs, as far as they are well formed.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([',', ' ', '\t']).to_lowercase();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, next)) => (value, next),
                None => break,
            },
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(key, value.trim().to_owned());
        rest = next;
    }
    found
}

/// The answer of a token's realm.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Token {
    /// The value of an `Authorization` header; `None` where it holds no token.
    pub(super) fn bearer(&self) -> Option<String> {
        let mut both = [&self.token, &self.access_token].into_iter();
        let token = both.find(|token| !token.is_empty())?;
        Some(format!("Bearer {token}"))
    }
}
