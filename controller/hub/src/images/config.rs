//! The configuration of registries: one file of the platform's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heyun_plan::images::ImageName;
use serde::Deserialize;

use super::auth::Credentials;
use super::{MIRRORS_MAX, REGISTRIES_MAX};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error(
        "--registries: {place} names {path}, which cannot be read: mount it there, or correct the path"
    )]
    Read {
        /// Where the file is named.
        place: String,
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not YAML of the right form.
    #[error(
        "--registries: {path} is no configuration of registries: {problem}; see docs/scheduling.md for its form"
    )]
    Form {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A value is wrong.
    #[error("--registries: {place}: {problem}; {fix}")]
    Value {
        /// Where it stands. Example: `registries[2].mirrors[0]`.
        place: String,
        /// What is wrong, with the value.
        problem: String,
        /// What to do.
        fix: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    unlisted: Unlisted,
    #[serde(default)]
    registries: Vec<Registry>,
}

/// What becomes of images whose registry is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Unlisted {
    /// It is asked over https, at public addresses alone.
    #[default]
    Ask,
    /// It is not asked: the image may run anywhere.
    Skip,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registry {
    host: String,
    #[serde(default)]
    mirrors: Vec<String>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    username: Option<String>,
    password_file: Option<PathBuf>,
}

/// A registry as it is configured.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// Hosts that are asked before it, in order.
    pub(super) mirrors: Vec<String>,
    /// Authorities that its certificate must come from, as PEM; the system's where there are none.
    pub(super) authorities: Option<Vec<u8>>,
    /// It is asked over http.
    pub(super) insecure: bool,
    /// Who asks it, where the Workload brings no pull Secret for it.
    pub(super) credentials: Option<Credentials>,
    /// Where it stands in the file.
    pub(super) place: String,
}

/// The configuration, read and checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) unlisted: Unlisted,
    pub(super) listed: BTreeMap<String, Listed>,
}

fn value(place: impl Into<String>, problem: impl Into<String>, fix: &str) -> ConfigError {
    ConfigError::Value {
        place: place.into(),
        problem: problem.into(),
        fix: fix.to_owned(),
    }
}

/// Reads the configuration and the files that it names, whose paths may be relative to its own.
pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = read("the flag", path)?;
    let file: File = serde_yaml::from_slice(&text).map_err(|error| ConfigError::Form {
        path: path.display().to_string(),
        problem: error.to_string(),
    })?;
    if file.registries.len() > REGISTRIES_MAX {
        let problem = format!("lists {} registries", file.registries.len());
        let fix = format!("list at most {REGISTRIES_MAX}");
        return Err(value("registries", problem, &fix));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut listed = BTreeMap::new();
    for (index, registry) in file.registries.into_iter().enumerate() {
        let place = format!("registries[{index}]");
        let host = host(&format!("{place}.host"), &registry.host)?;
        let read = read_registry(&place, registry, folder)?;
        if listed.insert(host.clone(), read).is_some() {
            let problem = format!("{host} is listed twice");
            return Err(value(format!("{place}.host"), problem, "leave one out"));
        }
    }
    Ok(Config {
        unlisted: file.unlisted,
        listed,
    })
}

fn read_registry(place: &str, registry: Registry, folder: &Path) -> Result<Listed, ConfigError> {
    if registry.mirrors.len() > MIRRORS_MAX {
        let problem = format!("names {} mirrors", registry.mirrors.len());
        let fix = format!("name at most {MIRRORS_MAX}");
        return Err(value(format!("{place}.mirrors"), problem, &fix));
    }
    let mut mirrors = Vec::new();
    for (index, mirror) in registry.mirrors.iter().enumerate() {
        mirrors.push(host(&format!("{place}.mirrors[{index}]"), mirror)?);
    }
    if registry.insecure && registry.ca_file.is_some() {
        let problem = "is given together with insecure: true, and no certificate is looked at";
        let fix = "leave one of the two out";
        return Err(value(format!("{place}.caFile"), problem, fix));
    }
    let file = |field: &str, path: &Path| read(&format!("{place}.{field}"), &folder.join(path));
    let authorities = registry.ca_file.as_deref();
    let authorities = authorities.map(|path| file("caFile", path)).transpose()?;
    let credentials = match (registry.username, registry.password_file) {
        (None, None) => None,
        (Some(user), Some(path)) => {
            let password = file("passwordFile", &path)?;
            let password = String::from_utf8(password).map_err(|_| {
                let at = format!("{place}.passwordFile");
                value(
                    at,
                    "holds no UTF-8 text",
                    "write the password and nothing else",
                )
            })?;
            Some(Credentials::new(
                user,
                password.trim_end_matches(['\r', '\n']),
            ))
        }
        (Some(_), None) | (None, Some(_)) => {
            let problem = "one of username and passwordFile is missing";
            return Err(value(place, problem, "give both or neither"));
        }
    };
    Ok(Listed {
        mirrors,
        authorities,
        insecure: registry.insecure,
        credentials,
        place: place.to_owned(),
    })
}

/// A host as images name it.
fn host(place: &str, text: &str) -> Result<String, ConfigError> {
    let host = text.to_lowercase();
    let named = ImageName::parse(&format!("{host}/x"));
    if named.is_ok_and(|name| name.registry == host) {
        return Ok(host);
    }
    let problem = format!("{text:?} is no host of a registry as images name it");
    Err(value(
        place,
        problem,
        "write a host name with an optional port and no scheme, such as registry.gov.example:5000",
    ))
}

fn read(place: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::Read {
        place: place.to_owned(),
        path: path.display().to_string(),
        source,
    })
}
