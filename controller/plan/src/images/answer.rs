//! What a registry's answer says: manifests and configurations of OCI and of Docker.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::name::is_digest;

/// Index of several images, by platform.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// Manifest of one image.
const IMAGES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// What a registry is asked for, in order of preference.
pub const MANIFEST_TYPES: [&str; 4] = [INDEXES[0], INDEXES[1], IMAGES[0], IMAGES[1]];

/// Most images of an index; what names more is not looked at.
pub(super) const INDEX_MAX: usize = 256;
/// Longest part of a platform's name.
const PART_MAX: usize = 32;

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An index: the platforms of its images, as `linux/arm64/v8`.
    Platforms(BTreeSet<String>),
    /// One image: its platform stands in the blob of this digest.
    Config(String),
}

/// Why an answer says no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not the JSON of a manifest or of a configuration.
    #[error("its answer is no manifest of OCI or Docker")]
    Malformed,
    /// It is something else than an image.
    #[error("its answer is neither an index nor an image of OCI or of Docker's second schema")]
    Other,
    /// An index names more images than are looked at.
    #[error("its index names more than 256 images")]
    TooMany,
    /// An index names the platform of no image.
    #[error("its index names the platform of none of its images")]
    NoPlatform,
    /// The configuration of an image names no architecture.
    #[error("the configuration of the image names no architecture")]
    NoArchitecture,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// Reads a manifest. `content_type` is the answer's, used where the manifest does not say itself
/// what it is.
///
/// # Errors
/// It is no manifest that names platforms or a configuration.
pub fn manifest(content_type: Option<&str>, body: &[u8]) -> Result<Answer, AnswerError> {
    let read: Manifest = serde_json::from_slice(body).map_err(|_| AnswerError::Malformed)?;
    if read.schema_version != 2 {
        return Err(AnswerError::Other);
    }
    let said = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    let kind = read.media_type.as_deref().or(said).unwrap_or_default();
    if INDEXES.contains(&kind) {
        return index(read.manifests.ok_or(AnswerError::Malformed)?).map(Answer::Platforms);
    }
    if IMAGES.contains(&kind) {
        let config = read.config.ok_or(AnswerError::Malformed)?;
        let sound = is_digest(&config.digest);
        return sound
            .then_some(Answer::Config(config.digest))
            .ok_or(AnswerError::Malformed);
    }
    Err(AnswerError::Other)
}

fn index(manifests: Vec<Descriptor>) -> Result<BTreeSet<String>, AnswerError> {
    if manifests.len() > INDEX_MAX {
        return Err(AnswerError::TooMany);
    }
    let each = manifests.into_iter().filter_map(|m| m.platform);
    let platforms: BTreeSet<String> = each.filter_map(|p| name(&p)).collect();
    if platforms.is_empty() {
        return Err(AnswerError::NoPlatform);
    }
    Ok(platforms)
}

/// The platform that an image's configuration names.
///
/// # Errors
/// It is no configuration, or names none.
pub fn config(body: &[u8]) -> Result<BTreeSet<String>, AnswerError> {
    let read: Platform = serde_json::from_slice(body).map_err(|_| AnswerError::Malformed)?;
    let name = name(&read).ok_or(AnswerError::NoArchitecture)?;
    Ok(BTreeSet::from([name]))
}

/// `linux/arm64/v8`. `None` for what is no platform: attestations beside images call theirs
/// `unknown/unknown`.
fn name(platform: &Platform) -> Option<String> {
    let word = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        !text.is_empty() && text.len() <= PART_MAX && text.bytes().all(plain) && text != "unknown"
    };
    let Platform {
        os,
        architecture,
        variant,
    } = platform;
    if !word(os) || !word(architecture) {
        return None;
    }
    Some(if word(variant) {
        format!("{os}/{architecture}/{variant}")
    } else {
        format!("{os}/{architecture}")
    })
}
