//! What an image reference names.

use std::fmt;

use crate::interpret::shown;
use crate::tenants::covers::Reference;

/// An image, with nothing left to guess: `nginx` is `library/nginx` with tag `latest` in the
/// registry `docker.io`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// Host of the registry as images name it, with its port where one is written.
    pub registry: String,
    /// Path in the registry. Example: `civil/web`.
    pub repository: String,
    /// Which of its images.
    pub version: Version,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// What stands under this tag now.
    Tag(String),
    /// The one with this content, always: `sha256:` and 64 hexadecimal digits.
    Digest(String),
}

impl Version {
    /// As a registry is asked for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(text) | Self::Digest(text) => text,
        }
    }
}

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "image {image} is no image reference: {problem}; write REGISTRY/PATH:TAG or REGISTRY/PATH@sha256:DIGEST"
)]
pub struct NameError {
    /// What is written, shortened and in quotes.
    pub image: String,
    /// Which part of it is wrong.
    pub problem: String,
}

/// Longest repository and registry of a reference.
const NAME_MAX: usize = 255;
/// Longest tag.
const TAG_MAX: usize = 128;
/// The tag of an image that names none.
const LATEST: &str = "latest";

impl ImageName {
    /// Reads a reference as container runtimes do. Where both tag and digest are written, the
    /// digest counts.
    ///
    /// # Errors
    /// A part of it has a form that no registry takes.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fault = |problem: &str| NameError {
            image: shown(text),
            problem: problem.to_owned(),
        };
        let reference = Reference::image(text);
        let (registry, repository, version) = reference.parts();
        if !is_host(registry) {
            return Err(fault("its registry is no host name with an optional port"));
        }
        let segments = || repository.split('/');
        if repository.len() > NAME_MAX || !segments().all(is_segment) {
            return Err(fault(
                "its path has parts of other than small letters and digits with '.', '_' or '-' \
                 between them",
            ));
        }
        let (tag, digest) = match version.split_once('@') {
            Some((tag, digest)) => (tag, Some(digest)),
            None => (version, None),
        };
        let tag = tag.strip_prefix(':');
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fault("its tag is malformed"));
        }
        let version = match digest {
            Some(digest) if is_digest(digest) => Version::Digest(digest.to_owned()),
            Some(_) => return Err(fault("its digest is not sha256: and 64 hexadecimal digits")),
            None => Version::Tag(tag.unwrap_or(LATEST).to_owned()),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            version,
        })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = match self.version {
            Version::Tag(_) => ':',
            Version::Digest(_) => '@',
        };
        let (registry, repository) = (&self.registry, &self.repository);
        write!(
            f,
            "{registry}/{repository}{between}{}",
            self.version.as_str()
        )
    }
}

/// Whether this is a host name or an address, with an optional port and nothing else: no user, no
/// path, no query.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                "address",
                rest.strip_prefix(':').or((!rest.is_empty()).then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|p| p > 0);
    let is_label = |label: &str| {
        let plain = label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= NAME_MAX && host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_segment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = |b: u8| plain(b) || matches!(b, b'.' | b'_' | b'-');
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.into_iter().all(|end| end.is_some_and(plain))
        && text.bytes().all(inner)
        && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inner = |b: u8| plain(b) || matches!(b, b'.' | b'-');
    text.len() <= TAG_MAX && text.bytes().next().is_some_and(plain) && text.bytes().all(inner)
}

/// Whether this is `sha256:` and 64 hexadecimal digits in small letters.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}
