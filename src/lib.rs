//! A small WebSocket message server.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod clock;
pub mod config;
pub mod delivery;
pub mod endpoints;
pub mod handler;
pub mod http;
pub mod outbox;
pub mod proto;
pub mod registry;
pub mod session;
