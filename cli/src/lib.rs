//! The heyun CLI, also kubectl heyun.
