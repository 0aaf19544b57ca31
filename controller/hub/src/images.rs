//! The platforms of images, asked from their registries.
//!
//! ```text
//! image ──► its mirrors, then its registry ──► index: platforms
//!                      │                  └──► one image: its configuration ──► platform
//!                      └── 401 ──► Basic, or a token from the realm that the registry names
//! ```
//!
//! Nothing is asked unless the platform's configuration ([`Registries::load`]) says so. A tenant
//! chooses which image is named, so what is asked is kept narrow: https alone unless the
//! configuration says otherwise of a registry, public addresses alone of those that it does not
//! list, few redirects, small answers, and what a digest names is compared with it.

mod auth;
mod client;
mod config;
mod guard;
mod http;
#[cfg(test)]
mod tests;

use heyun_member::error::Class;

pub use auth::{Credentials, PullSecret};
pub use client::Registries;
pub use config::ConfigError;

/// Longest time that one request to a registry may take.
const REQUEST_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
/// Longest time that one host is asked about one image, with tokens and redirects.
const ASK_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// Requests to one registry at once; those that are not listed are one together.
const AT_ONCE: usize = 4;
/// Images that are asked about at once, over all registries.
const ASKED_AT_ONCE: usize = 32;
/// Redirects that are followed for one answer.
const REDIRECTS_MAX: usize = 4;
/// Most bytes of a manifest or of a configuration: what registries must take themselves.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most bytes of the answer that holds a token.
const TOKEN_BYTES_MAX: usize = 64 << 10;
/// Most registries in the configuration, and mirrors of each.
const REGISTRIES_MAX: usize = 256;
/// Most mirrors of a registry.
const MIRRORS_MAX: usize = 8;

/// Why the platforms of an image are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// When it is worth asking again.
    pub class: Class,
    /// Names the host and what it said; no credential.
    pub message: String,
}

impl Failure {
    fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    /// What the administrators of the registry or of the platform have to change.
    fn denied(message: impl Into<String>) -> Self {
        Self::new(Class::Denied, message)
    }
}
