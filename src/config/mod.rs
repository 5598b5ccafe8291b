//! Every limit and timeout of the server, with its unit in its name and its default in its documentation.
//!
//! Nothing here can be switched off with a 0: where there may be no limit, that is spelled out as `None`.
//! [`Config::validate`] refuses zeros, values that the code below could not keep, and contradictions.
//!
//! How the sizes hang together:
//!
//! ```text
//! target_bytes_max <= head_bytes_max             the target is a part of the head
//! message_bytes_max + 14 <= outbox_bytes_max     an idle receiver can take one message of the largest size
//! outbox_soft_bytes <= outbox_bytes_max          one warns, the other one ends
//! outbox_bytes_max <= buffer_budget_bytes        one connection alone does not exceed what all may
//! ping_timeout < ping_interval                   at most one ping waits for its answer
//! ```

mod check;
mod rates;
mod settings;

use std::net::SocketAddr;
use std::num::NonZeroU32;
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::time::Duration;

pub use self::check::ConfigError;
pub use self::rates::RateLimits;
pub use self::settings::{Setting, Value};
use crate::http::{HttpLimits, TrustedProxies};
use crate::proto::MessageLimits;
use crate::replay::ReplayLimits;

/// The settings of a server: where it listens, and every limit that a peer can run into.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on, at least one; port 0 lets the system choose. Default: `127.0.0.1:8080`, which only
    /// this machine can reach (AC-10).
    pub listen: Vec<SocketAddr>,
    /// Address for monitoring alone, none of `listen`; the application is told which requests came to it
    /// ([`Entrance::Metrics`](crate::handler::Entrance::Metrics)). Default: none.
    pub metrics_listen: Option<SocketAddr>,
    /// Who the server is, if every connection to `listen` is to be encrypted. Default: none are (AC-11).
    #[cfg(feature = "tls")]
    pub tls: Option<TlsFiles>,
    /// Event loops, each with a thread of its own. Default: one per available processor, at most 8, since a delivery
    /// costs a letter to each of the others. Range: 1 to [`Config::LOOP_COUNT_MAX`].
    pub loop_count: usize,
    /// Open connections, all loops together. Default: 100,000. Range: 1 to [`Config::CONNECTIONS_MAX`]. Beyond it a
    /// peer gets a 503 (RS-03). The server lowers it to what there are descriptors for (RS-01).
    pub connections_max: usize,
    /// Descriptors that connections do not get, so that those beyond the limit can be told so, and for whatever else
    /// the process may open. Default: 64 (RS-01). Those that the server needs in any case are not counted.
    pub descriptor_reserve: usize,
    /// Open connections of one client: an address, or a network of `IPv6` of 64 bits. Default: no limit, since many people
    /// can share an address. Those of a trusted proxy count for whom it speaks for, once they are opened. Beyond it a
    /// peer gets a 503, or a 429 through the proxy (LT-07). A lost session keeps its place until it is recovered or gone.
    pub connections_per_address_max: Option<NonZeroU32>,
    /// The proxies that say in `X-Forwarded-For` whom they speak for. Default: none, so that a client is the other end of
    /// its connection (LT-07).
    pub trusted_proxies: TrustedProxies,
    /// Limits of an HTTP request, the opening handshake included (HS-14, HT-04).
    ///
    /// | Field | Default | Range |
    /// |---|---|---|
    /// | `head_bytes_max` | 16 KiB | 1 byte to 1 MiB |
    /// | `target_bytes_max` | 8,000 bytes (RFC 9112 3) | 1 byte to `head_bytes_max` |
    /// | `fields_max` | 100 | 1 to [`Config::FIELDS_MAX`] |
    /// | `body_bytes_max` | 1 MiB, as a message | 1 byte to 1 GiB |
    pub http: HttpLimits,
    /// From accept to the last byte of the first request's head, whatever arrives in between. Default: 10 s (HS-16).
    pub handshake_timeout: Duration,
    /// From a response to the last byte of the next request's head. Default: 30 s.
    pub http_idle_timeout: Duration,
    /// Requests of one connection; the response to the last one closes it. Default: 1,000. Range: from 1.
    pub http_requests_max: u32,
    /// Limits of a WebSocket message (MS-04).
    ///
    /// | Field | Default | Range |
    /// |---|---|---|
    /// | `message_bytes_max` | 1 MiB | 1 byte to what an outbox can hold, see above |
    /// | `fragments_max` | 131,072 frames, empty ones included (FR-15) | from 1 |
    pub message: MessageLimits,
    /// What an open WebSocket may send in a second (LT-06). Default: 100 control frames, the rest without limit.
    pub rates: RateLimits,
    /// From the first byte of a message to its last. Default: 60 s, so that 1 MiB may come at 140 kbit/s (MS-04).
    pub message_timeout: Duration,
    /// Bytes queued for one connection that the kernel has not taken; who exceeds it is a slow consumer and is closed
    /// with 1008 (SC-01, SC-02), unless the message comes on other terms (SC-03). Default: 4 MiB. Range: up to
    /// [`Config::OUTBOX_BYTES_MAX`].
    pub outbox_bytes_max: usize,
    /// Bytes queued for one connection above which the peer is not read any more (SC-07), and which it may not exceed for
    /// longer than `outbox_soft_timeout` (SC-02). What a policy may drop is not counted. Default: 1 MiB. Range: up to
    /// `outbox_bytes_max`.
    pub outbox_soft_bytes: usize,
    /// How long more than `outbox_soft_bytes` may wait before the peer is closed with 1008. Default: 10 s (SC-02).
    pub outbox_soft_timeout: Duration,
    /// Bytes held for all connections together: queued for them, or come from them as parts of messages and requests
    /// (SC-06, MS-04). Above it those who cause the most are closed with 1008. Default: 256 MiB. Range: from
    /// `outbox_bytes_max`.
    pub buffer_budget_bytes: usize,
    /// Limits of what one recoverable peer has not acknowledged (MS-11); beyond them it is closed with 1008. Clients
    /// acknowledge about once a second, so they bound what such a client may get in a second.
    ///
    /// | Field | Default | Range |
    /// |---|---|---|
    /// | `bytes_max` | 8 MiB | 1 byte to [`Config::OUTBOX_BYTES_MAX`] |
    /// | `messages_max` | 100,000 | from 1 |
    pub replay: ReplayLimits,
    /// Bytes that all recoverable peers together have not acknowledged; who would exceed it is closed with 1008.
    /// Default: 256 MiB.
    pub replay_budget_bytes: usize,
    /// How long the session of a recoverable peer stays without a socket. Default: 30 s, as long as clients retry.
    pub recovery_timeout: Duration,
    /// How long a peer that is owed bytes may take none before its connection is cut. Default: 10 s (SC-08).
    pub write_timeout: Duration,
    /// Between two pings to a peer. Default: 25 s, below the 30 s after which some proxies forget a silent connection.
    pub ping_interval: Duration,
    /// For a sign of life after a ping, before the peer is closed with 1001. Default: 10 s. Must be shorter than
    /// `ping_interval` (LT-02, LT-03).
    pub ping_timeout: Duration,
    /// For the peer's Close frame after ours. Default: 5 s (CL-03).
    pub close_timeout: Duration,
    /// For the peer's end of stream after ours, so that a reset does not overtake our last bytes. Default: 2 s (CL-05).
    pub linger_timeout: Duration,
    /// From the first signal to the hard stop. Default: 10 s (SD-02, SD-03).
    pub drain_timeout: Duration,
    /// Groups that one connection may be a member of. Default: 128. Range: 1 to [`Config::GROUPS_MAX`].
    pub groups_per_connection_max: usize,
    /// Bytes of a group's name. Default: 128. Range: 1 to [`Config::GROUP_NAME_BYTES_MAX`].
    pub group_name_bytes_max: usize,
    /// Bytes read from one connection per turn of the loop; a frame that would be cut there is read to its end, if that
    /// is not as much again. Default: 128 KiB (LT-09).
    pub read_budget_bytes: usize,
    /// Bytes written to one connection per turn of the loop. Default: 256 KiB (LT-09).
    pub write_budget_bytes: usize,
    /// Connections accepted per turn of the loop. Default: 64 (LT-09).
    pub accept_budget: usize,
    /// Letters from other loops taken per turn of the loop. Default: 1,024 (LT-09).
    pub letter_budget: usize,
}

/// The files that say who the server is, both in PEM; they are read at the start and on SIGHUP.
#[cfg(feature = "tls")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, and behind it those that lead to one that clients know.
    pub certificate: PathBuf,
    /// The private key that belongs to the first certificate.
    pub key: PathBuf,
}

impl Config {
    /// Most event loops: a session id has eight bits for its loop.
    pub const LOOP_COUNT_MAX: usize = 256;
    /// Most connections: a session id has 24 bits for its slot, and one loop may get them all.
    pub const CONNECTIONS_MAX: usize = 1 << 24;
    /// Most header fields; ten times what browsers and proxies need, and still parsed in microseconds.
    pub const FIELDS_MAX: usize = 1000;
    /// Longest request head, in bytes.
    pub const HEAD_BYTES_MAX: usize = 1 << 20;
    /// Longest request body, in bytes.
    pub const BODY_BYTES_MAX: usize = 1 << 30;
    /// Largest outbox, in bytes: places within a buffer of frames are 32-bit numbers.
    pub const OUTBOX_BYTES_MAX: usize = 1 << 30;
    /// Most groups of one connection.
    pub const GROUPS_MAX: usize = 1 << 20;
    /// Longest group name, in bytes, as in the public protocol.
    pub const GROUP_NAME_BYTES_MAX: usize = 1024;
    /// Largest budget of a turn; beyond it one peer could hold up all others for seconds.
    pub const BUDGET_MAX: usize = 1 << 30;
    /// Longest timeout: one of more than a day is a slip of the pen, and far larger ones would overflow the clock.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            metrics_listen: None,
            #[cfg(feature = "tls")]
            tls: None,
            loop_count: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(8),
            connections_max: 100_000,
            descriptor_reserve: 64,
            connections_per_address_max: None,
            trusted_proxies: TrustedProxies::default(),
            http: HttpLimits {
                head_bytes_max: 16 << 10,
                target_bytes_max: 8000,
                fields_max: 100,
                body_bytes_max: 1 << 20,
            },
            handshake_timeout: Duration::from_secs(10),
            http_idle_timeout: Duration::from_secs(30),
            http_requests_max: 1000,
            message: MessageLimits {
                message_bytes_max: 1 << 20,
                fragments_max: 131_072,
            },
            rates: RateLimits::default(),
            message_timeout: Duration::from_secs(60),
            outbox_bytes_max: 4 << 20,
            outbox_soft_bytes: 1 << 20,
            outbox_soft_timeout: Duration::from_secs(10),
            buffer_budget_bytes: 256 << 20,
            replay: ReplayLimits {
                bytes_max: 8 << 20,
                messages_max: 100_000,
            },
            replay_budget_bytes: 256 << 20,
            recovery_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            linger_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
            groups_per_connection_max: 128,
            group_name_bytes_max: 128,
            read_budget_bytes: 128 << 10,
            write_budget_bytes: 256 << 10,
            accept_budget: 64,
            letter_budget: 1024,
        }
    }
}
