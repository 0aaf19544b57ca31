//! All that touches one member cluster: client, watches, sketch, executor.
pub mod apply;
pub mod assess;
pub mod client;
pub mod clock;
pub mod credential;
pub mod error;
pub mod executor;
pub mod fence;
mod hash;
pub mod kinds;
mod owned;
pub mod pods;
pub mod probe;
pub mod seen;
