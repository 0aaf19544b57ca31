//! The hub's client of registries, against real ones on loopback and against one that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code: a failure is a panic with its reason, against the wall clock"
)]

mod misbehaved;
mod real;
mod token;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;

use heyun_hub::images::{Failure, PullSecret, Registries};
use heyun_plan::images::ImageName;

/// Platforms of an image, as registries of this configuration tell them.
fn asked(config: &Path, image: &str, pull: &[PullSecret]) -> Result<BTreeSet<String>, Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registries = Registries::load(config).unwrap_or_else(|error| panic!("{error}"));
    let image = ImageName::parse(image).unwrap();
    block_on(registries.platforms(&image, pull))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// Writes a configuration.
fn configure(folder: &Path, yaml: &str) -> std::path::PathBuf {
    let path = folder.join("registries.yaml");
    std::fs::write(&path, yaml).unwrap();
    path
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
