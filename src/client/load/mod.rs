//! Load for a WebSocket server of any make: many connections from one thread, every message that comes back compared with
//! what was sent.
//!
//! ```no_run
//! use switchboard::client::load::{Load, LoadConfig, LoadTarget};
//! use switchboard::http::SocketUrl;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let target = LoadTarget::find(SocketUrl::parse("ws://127.0.0.1:8080/echo")?)?;
//! let report = Load::prepare(target, LoadConfig::default())?.run(|_| ())?;
//! println!("{} echoes, p99 {:?}", report.received, report.latency(0.99));
//! # Ok(())
//! # }
//! ```
//!
//! With a rate, messages are due at even times, and a latency counts from when the message was due: a server that stalls
//! delays all that are due meanwhile, and each of them shows it. Without one, a connection sends when it has got back what
//! it sent before, and a latency counts from the sending.

mod crowd;
mod generator;
mod ledger;
mod payload;
mod peer;
mod schedule;
mod stopper;
mod tally;
mod target;
mod visits;

use std::time::Duration;

pub use self::generator::Load;
pub use self::stopper::LoadStopper;
pub use self::tally::{LoadProgress, LoadReport};
pub use self::target::LoadTarget;
use super::ClientConfig;

/// What load there is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadConfig {
    /// What the connections do. Default: echo.
    pub mode: LoadMode,
    /// How many connections there are at a time. Default: 50.
    pub client_count: usize,
    /// What decides when the next message is sent. Default: one at a time for each connection.
    pub pace: Pace,
    /// Payload of a message in bytes. Default: 64.
    pub payload_len: usize,
    /// Whether messages are text, not binary. Default: text.
    pub is_text: bool,
    /// For how long messages are sent. Default: 10 s.
    pub duration: Duration,
    /// How each connection is made, and how long it may take.
    pub client: ClientConfig,
}

/// What the connections of a load do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadMode {
    /// Each sends messages, and gets every one of them back.
    Echo,
    /// The first sends messages, and all others get every one of them.
    FanOut,
    /// Each opens a WebSocket and closes it, again and again; what is timed is the way to the open WebSocket.
    Connect,
}

/// What decides when the next message is sent, or the next connection is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The clock: so many in a second, of all connections together.
    PerSecond(f64),
    /// The server: so many may be under way, of each sender. Connections open one at a time each.
    InFlight(usize),
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            mode: LoadMode::Echo,
            client_count: 50,
            pace: Pace::InFlight(1),
            payload_len: 64,
            is_text: true,
            duration: Duration::from_secs(10),
            client: ClientConfig::default(),
        }
    }
}
