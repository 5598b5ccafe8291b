//! Every limit and timeout of the server, with its unit in its name and its default in its documentation.
//!
//! Nothing here can be switched off with a 0: a limit of "none" would have to be spelled out, and there is none to
//! spell. [`Config::validate`] refuses zeros, values that the code below could not keep, and contradictions.
//!
//! How the sizes hang together:
//!
//! ```text
//! target_bytes_max <= head_bytes_max             the target is a part of the head
//! message_bytes_max + 14 <= outbox_bytes_max     an idle receiver can take one message of the largest size
//! ping_timeout < ping_interval                   at most one ping waits for its answer
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::http::HttpLimits;
use crate::proto::{FrameHeader, MessageLimits};
use crate::replay::ReplayLimits;

/// The settings of a server: where it listens, and every limit that a peer can run into.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on, at least one; port 0 lets the system choose. Default: `127.0.0.1:8080`, which only
    /// this machine can reach (AC-10).
    pub listen: Vec<SocketAddr>,
    /// Event loops, each with a thread of its own. Default: one per available processor, at most 8, since a delivery
    /// costs a letter to each of the others. Range: 1 to [`Config::LOOP_COUNT_MAX`].
    pub loop_count: usize,
    /// Open connections, all loops together. Default: 100,000. Range: 1 to [`Config::CONNECTIONS_MAX`]. Beyond it a
    /// peer gets a 503 (RS-03).
    pub connections_max: usize,
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
    /// From the first byte of a message to its last. Default: 60 s, so that 1 MiB may come at 140 kbit/s (MS-04).
    pub message_timeout: Duration,
    /// Bytes queued for one connection that the kernel has not taken; who exceeds it is a slow consumer and is closed
    /// with 1008 (SC-01, SC-02), unless the message comes on other terms (SC-03). Default: 4 MiB. Range: up to
    /// [`Config::OUTBOX_BYTES_MAX`].
    pub outbox_bytes_max: usize,
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
    /// Bytes read from one connection per turn of the loop. Default: 64 KiB, one read buffer (LT-09).
    pub read_budget_bytes: usize,
    /// Bytes written to one connection per turn of the loop. Default: 256 KiB (LT-09).
    pub write_budget_bytes: usize,
    /// Connections accepted per turn of the loop. Default: 64 (LT-09).
    pub accept_budget: usize,
    /// Letters from other loops taken per turn of the loop. Default: 1,024 (LT-09).
    pub letter_budget: usize,
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

    /// Checks every setting alone, then those that limit each other (LT-02).
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, or the first contradiction.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoListenAddress);
        }
        for (setting, value, max) in self.counts() {
            if value == 0 {
                return Err(ConfigError::Zero { setting });
            }
            if value > max {
                return Err(ConfigError::TooLarge { setting, max });
            }
        }
        for (setting, timeout) in self.timeouts() {
            if timeout.is_zero() {
                return Err(ConfigError::Zero { setting });
            }
            if timeout > Self::TIMEOUT_MAX {
                return Err(ConfigError::TooLong { setting });
            }
        }
        self.check_relations()
    }

    fn check_relations(&self) -> Result<(), ConfigError> {
        if self.http.target_bytes_max > self.http.head_bytes_max {
            return Err(ConfigError::TargetExceedsHead);
        }
        // No overflow: both are below 2^31 by now. The header may be the longest one, to be on the safe side.
        let frame_len_max = self.message.message_bytes_max + FrameHeader::LEN_MAX as u64;
        if frame_len_max > self.outbox_bytes_max as u64 {
            return Err(ConfigError::MessageExceedsOutbox);
        }
        if self.ping_timeout >= self.ping_interval {
            return Err(ConfigError::PingTimeoutExceedsInterval);
        }
        Ok(())
    }

    /// Everything that is counted: what to call it, its value, and the most it may be.
    fn counts(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        self.intake_counts()
            .into_iter()
            .chain(self.delivery_counts())
    }

    /// What is counted of connections and requests.
    fn intake_counts(&self) -> [(&'static str, u64, u64); 7] {
        let most = u64::from(u32::MAX);
        let requests_max = u64::from(self.http_requests_max);
        [
            row(
                "number of event loops",
                self.loop_count,
                Self::LOOP_COUNT_MAX,
            ),
            row(
                "limit of connections",
                self.connections_max,
                Self::CONNECTIONS_MAX,
            ),
            row(
                "size limit of request heads",
                self.http.head_bytes_max,
                Self::HEAD_BYTES_MAX,
            ),
            row(
                "size limit of request targets",
                self.http.target_bytes_max,
                Self::HEAD_BYTES_MAX,
            ),
            row(
                "limit of header fields",
                self.http.fields_max,
                Self::FIELDS_MAX,
            ),
            row(
                "size limit of request bodies",
                self.http.body_bytes_max,
                Self::BODY_BYTES_MAX,
            ),
            ("limit of requests", requests_max, most),
        ]
    }

    /// What is counted of messages, groups and turns.
    fn delivery_counts(&self) -> [(&'static str, u64, u64); 12] {
        let most = u64::from(u32::MAX);
        let fragments_max = u64::from(self.message.fragments_max);
        let message_bytes_max = self.message.message_bytes_max;
        [
            (
                "size limit of messages",
                message_bytes_max,
                Self::OUTBOX_BYTES_MAX as u64,
            ),
            ("limit of fragments", fragments_max, most),
            row(
                "size limit of outboxes",
                self.outbox_bytes_max,
                Self::OUTBOX_BYTES_MAX,
            ),
            row(
                "size limit of unacknowledged messages",
                self.replay.bytes_max,
                Self::OUTBOX_BYTES_MAX,
            ),
            row(
                "limit of unacknowledged messages",
                self.replay.messages_max,
                u32::MAX as usize,
            ),
            row(
                "budget of unacknowledged bytes",
                self.replay_budget_bytes,
                usize::MAX,
            ),
            row(
                "limit of groups",
                self.groups_per_connection_max,
                Self::GROUPS_MAX,
            ),
            row(
                "size limit of group names",
                self.group_name_bytes_max,
                Self::GROUP_NAME_BYTES_MAX,
            ),
            row("read budget", self.read_budget_bytes, Self::BUDGET_MAX),
            row("write budget", self.write_budget_bytes, Self::BUDGET_MAX),
            row("accept budget", self.accept_budget, Self::BUDGET_MAX),
            row("letter budget", self.letter_budget, Self::BUDGET_MAX),
        ]
    }

    /// Everything that is timed, and what to call it.
    fn timeouts(&self) -> [(&'static str, Duration); 10] {
        [
            ("handshake timeout", self.handshake_timeout),
            ("HTTP idle timeout", self.http_idle_timeout),
            ("message timeout", self.message_timeout),
            ("recovery timeout", self.recovery_timeout),
            ("write timeout", self.write_timeout),
            ("ping interval", self.ping_interval),
            ("ping timeout", self.ping_timeout),
            ("close timeout", self.close_timeout),
            ("linger timeout", self.linger_timeout),
            ("drain time", self.drain_timeout),
        ]
    }
}

/// A row of [`Config::counts`].
fn row(setting: &'static str, value: usize, max: usize) -> (&'static str, u64, u64) {
    (setting, value as u64, max as u64)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            loop_count: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(8),
            connections_max: 100_000,
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
            message_timeout: Duration::from_secs(60),
            outbox_bytes_max: 4 << 20,
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
            read_budget_bytes: 64 << 10,
            write_budget_bytes: 256 << 10,
            accept_budget: 64,
            letter_budget: 1024,
        }
    }
}

/// Why settings were refused (LT-02); the text names the setting in words, and fits on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no address to listen on.
    NoListenAddress,
    /// A limit or a timeout is 0, which would mean "nothing" and is often meant as "none".
    Zero {
        /// What to call it.
        setting: &'static str,
    },
    /// A count or a size is above what the code can keep.
    TooLarge {
        /// What to call it.
        setting: &'static str,
        /// The most it may be.
        max: u64,
    },
    /// A timeout is above [`Config::TIMEOUT_MAX`].
    TooLong {
        /// What to call it.
        setting: &'static str,
    },
    /// `target_bytes_max` is above `head_bytes_max`, of which the target is a part.
    TargetExceedsHead,
    /// A message of `message_bytes_max` and its frame header are above `outbox_bytes_max`: it could be sent by its
    /// author and would cost every receiver the connection.
    MessageExceedsOutbox,
    /// `ping_timeout` is not below `ping_interval`, so a second ping would go out before the first is judged.
    PingTimeoutExceedsInterval,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListenAddress => f.write_str("there is no address to listen on"),
            Self::Zero { setting } => write!(f, "the {setting} must not be 0"),
            Self::TooLarge { setting, max } => write!(f, "the {setting} must be at most {max}"),
            Self::TooLong { setting } => write!(f, "the {setting} must be at most one day"),
            Self::TargetExceedsHead => f.write_str(
                "the size limit of request targets must not exceed that of request heads",
            ),
            Self::MessageExceedsOutbox => write!(
                f,
                "the size limit of outboxes must exceed that of messages by {} bytes or more",
                FrameHeader::LEN_MAX
            ),
            Self::PingTimeoutExceedsInterval => {
                f.write_str("the ping timeout must be shorter than the ping interval")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery;

    fn verdict(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.validate()
    }

    #[test]
    fn lt_01_the_defaults_are_those_of_the_checklist() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.http.head_bytes_max, 16 * 1024);
        assert_eq!(config.http.target_bytes_max, 8000);
        assert_eq!(config.http.fields_max, 100);
        assert_eq!(config.message.message_bytes_max, 1024 * 1024);
        assert_eq!(config.message.fragments_max, 131_072);
        assert_eq!(config.outbox_bytes_max, 4 * 1024 * 1024);
        assert_eq!(
            (
                config.groups_per_connection_max,
                config.group_name_bytes_max
            ),
            (128, 128)
        );
        assert_eq!(
            (config.accept_budget, config.read_budget_bytes),
            (64, 64 * 1024)
        );
        assert!((1..=8).contains(&config.loop_count));
        let seconds = config.timeouts().map(|(_, timeout)| timeout.as_secs());
        assert_eq!(seconds, [10, 30, 60, 30, 10, 25, 10, 5, 2, 10]);
    }

    #[test]
    fn lt_02_no_count_may_be_zero() {
        type Zeroing = fn(&mut Config);
        let changes: [Zeroing; 19] = [
            |c| c.loop_count = 0,
            |c| c.connections_max = 0,
            |c| c.http.head_bytes_max = 0,
            |c| c.http.target_bytes_max = 0,
            |c| c.http.fields_max = 0,
            |c| c.http.body_bytes_max = 0,
            |c| c.http_requests_max = 0,
            |c| c.message.message_bytes_max = 0,
            |c| c.message.fragments_max = 0,
            |c| c.outbox_bytes_max = 0,
            |c| c.replay.bytes_max = 0,
            |c| c.replay.messages_max = 0,
            |c| c.replay_budget_bytes = 0,
            |c| c.groups_per_connection_max = 0,
            |c| c.group_name_bytes_max = 0,
            |c| c.read_budget_bytes = 0,
            |c| c.write_budget_bytes = 0,
            |c| c.accept_budget = 0,
            |c| c.letter_budget = 0,
        ];
        for (change, (setting, _, _)) in changes.into_iter().zip(Config::default().counts()) {
            assert_eq!(verdict(change), Err(ConfigError::Zero { setting }));
        }
    }

    #[test]
    fn lt_02_timeouts_are_above_zero_and_at_most_a_day() {
        type Timeout = fn(&mut Config) -> &mut Duration;
        let timeouts: [Timeout; 10] = [
            |c| &mut c.handshake_timeout,
            |c| &mut c.http_idle_timeout,
            |c| &mut c.message_timeout,
            |c| &mut c.recovery_timeout,
            |c| &mut c.write_timeout,
            |c| &mut c.ping_interval,
            |c| &mut c.ping_timeout,
            |c| &mut c.close_timeout,
            |c| &mut c.linger_timeout,
            |c| &mut c.drain_timeout,
        ];
        let day = Config::TIMEOUT_MAX;
        for (timeout, (setting, _)) in timeouts.into_iter().zip(Config::default().timeouts()) {
            let with = |value| verdict(|c| *timeout(c) = value);
            assert_eq!(with(Duration::ZERO), Err(ConfigError::Zero { setting }));
            assert_eq!(
                with(day + Duration::from_nanos(1)),
                Err(ConfigError::TooLong { setting })
            );
            assert_eq!(with(Duration::MAX), Err(ConfigError::TooLong { setting }));
            if setting != "ping timeout" {
                assert_eq!(with(day), Ok(()), "{setting}");
            }
        }
    }

    #[test]
    fn lt_02_counts_are_taken_up_to_their_largest_value() {
        let loops = |count| verdict(|c| c.loop_count = count);
        assert_eq!(loops(256), Ok(()));
        assert_eq!(
            loops(257),
            Err(ConfigError::TooLarge {
                setting: "number of event loops",
                max: 256
            })
        );
        let fields = |count| verdict(|c| c.http.fields_max = count);
        assert_eq!(fields(1000), Ok(()));
        assert!(matches!(
            fields(1001),
            Err(ConfigError::TooLarge { max: 1000, .. })
        ));
        let connections = |count| verdict(|c| c.connections_max = count);
        assert_eq!(connections(1 << 24), Ok(()));
        assert!(matches!(
            connections((1 << 24) + 1),
            Err(ConfigError::TooLarge { .. })
        ));
        let name = |len| verdict(|c| c.group_name_bytes_max = len);
        assert_eq!(name(1024), Ok(()));
        assert!(matches!(
            name(1025),
            Err(ConfigError::TooLarge { max: 1024, .. })
        ));
        let message = |len| verdict(|c| c.message.message_bytes_max = len);
        assert!(matches!(
            message(u64::MAX),
            Err(ConfigError::TooLarge { .. })
        ));
    }

    #[test]
    fn lt_02_an_empty_list_of_addresses_is_refused() {
        assert_eq!(
            verdict(|c| c.listen.clear()),
            Err(ConfigError::NoListenAddress)
        );
    }

    #[test]
    fn lt_02_an_outbox_holds_a_message_of_the_largest_size_and_its_header() {
        let outbox = |bytes| {
            verdict(|c| {
                c.message.message_bytes_max = 1000;
                c.outbox_bytes_max = bytes;
            })
        };
        assert_eq!(outbox(1014), Ok(()));
        assert_eq!(outbox(1013), Err(ConfigError::MessageExceedsOutbox));
        assert_eq!(outbox(999), Err(ConfigError::MessageExceedsOutbox));
    }

    #[test]
    fn lt_02_a_target_fits_into_its_head() {
        let head = |bytes| verdict(|c| c.http.head_bytes_max = bytes);
        assert_eq!(head(8000), Ok(()));
        assert_eq!(head(7999), Err(ConfigError::TargetExceedsHead));
    }

    #[test]
    fn lt_02_a_ping_is_judged_before_the_next_one() {
        let answer_within = |timeout| verdict(|c| c.ping_timeout = timeout);
        let interval = Config::default().ping_interval;
        assert_eq!(answer_within(interval - Duration::from_nanos(1)), Ok(()));
        assert_eq!(
            answer_within(interval),
            Err(ConfigError::PingTimeoutExceedsInterval)
        );
        assert_eq!(
            answer_within(interval * 2),
            Err(ConfigError::PingTimeoutExceedsInterval)
        );
    }

    #[test]
    fn the_largest_values_are_those_that_the_other_layers_can_keep() {
        assert_eq!(Config::LOOP_COUNT_MAX, delivery::SessionId::LOOP_COUNT_MAX);
        assert_eq!(Config::CONNECTIONS_MAX, delivery::SessionId::SLOT_COUNT_MAX);
        assert_eq!(Config::GROUP_NAME_BYTES_MAX, delivery::NAME_LEN_MAX);
    }

    #[test]
    fn every_refusal_is_one_line_without_a_final_stop() {
        let setting = "read budget";
        for error in [
            ConfigError::NoListenAddress,
            ConfigError::Zero { setting },
            ConfigError::TooLarge { setting, max: 7 },
            ConfigError::TooLong { setting },
            ConfigError::TargetExceedsHead,
            ConfigError::MessageExceedsOutbox,
            ConfigError::PingTimeoutExceedsInterval,
        ] {
            let line = error.to_string();
            assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
        }
        let zero = ConfigError::Zero { setting };
        assert_eq!(zero.to_string(), "the read budget must not be 0");
    }
}
