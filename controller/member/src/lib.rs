//! All that touches one member cluster: client, watches, sketch, executor.
pub mod apply;
pub mod client;
pub mod clock;
pub mod credential;
pub mod error;
pub mod fence;
mod hash;
pub mod kinds;
pub mod probe;
