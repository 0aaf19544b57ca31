//! Pure plans: manifests to requests, hub objects to snapshots, decisions to Works.

pub mod diff;
pub mod health;
pub mod interpret;
pub mod member_names;
pub mod render;
pub mod secrets;
pub mod sketch;
pub mod tenants;
pub mod wrap;
