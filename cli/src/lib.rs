//! The heyun CLI, also `kubectl heyun`; and as a library what the demo and the tests share with
//! it: [`sandbox`] and [`join`].

pub mod apply;
pub mod args;
pub mod ask;
mod commands;
pub mod connect;
pub mod doctor;
pub mod error;
pub mod input;
pub mod join;
pub mod output;
pub mod run;
pub mod sandbox;
pub mod simulate;
pub mod view;
