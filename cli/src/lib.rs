//! The heyun CLI, also `kubectl heyun`; and as a library what the demo and the tests share with
//! it: [`sandbox`] and [`join`].

pub mod apply;
pub mod args;
mod commands;
pub mod connect;
pub mod error;
pub mod join;
pub mod output;
pub mod run;
pub mod sandbox;
