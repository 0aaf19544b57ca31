//! Pure plans: manifests to requests, hub objects to snapshots, decisions to Works.

pub mod interpret;
pub mod member_names;
pub mod secrets;
pub mod tenants;
