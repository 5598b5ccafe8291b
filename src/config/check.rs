//! Whether settings make sense, each alone and all together (LT-02).

use std::fmt;

use super::{Config, Setting, Value};
use crate::proto::FrameHeader;

impl Config {
    /// Checks every setting alone, then those that limit each other (LT-02).
    ///
    /// # Errors
    ///
    /// The first setting that is out of range, or the first contradiction.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoListenAddress);
        }
        let metrics = self.metrics_listen.filter(|addr| addr.port() != 0);
        if metrics.is_some_and(|addr| self.listen.contains(&addr)) {
            return Err(ConfigError::MetricsAddressNotItsOwn);
        }
        for (_, group) in self.settings() {
            group.iter().try_for_each(Setting::check)?;
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
        if self.outbox_soft_bytes > self.outbox_bytes_max {
            return Err(ConfigError::SoftLimitExceedsOutbox);
        }
        if self.outbox_bytes_max > self.buffer_budget_bytes {
            return Err(ConfigError::OutboxExceedsBudget);
        }
        if self.ping_timeout >= self.ping_interval {
            return Err(ConfigError::PingTimeoutExceedsInterval);
        }
        Ok(())
    }
}

impl Setting {
    /// Checks the setting alone.
    fn check(&self) -> Result<(), ConfigError> {
        let (setting, max) = (self.name, self.max);
        match self.value {
            Value::Count(0) | Value::Bytes(0) => Err(ConfigError::Zero { setting }),
            Value::Time(time) if time.is_zero() => Err(ConfigError::Zero { setting }),
            Value::Count(value) | Value::Bytes(value) if value > max => {
                Err(ConfigError::TooLarge { setting, max })
            }
            Value::Time(time) if time > Config::TIMEOUT_MAX => {
                Err(ConfigError::TooLong { setting })
            }
            _ => Ok(()),
        }
    }
}

/// Why settings were refused (LT-02); the text names the setting in words, and fits on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no address to listen on.
    NoListenAddress,
    /// `metrics_listen` is one of `listen`.
    MetricsAddressNotItsOwn,
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
    /// `outbox_soft_bytes` is above `outbox_bytes_max`, so it would never count.
    SoftLimitExceedsOutbox,
    /// `outbox_bytes_max` is above `buffer_budget_bytes`, so it would never count.
    OutboxExceedsBudget,
    /// `ping_timeout` is not below `ping_interval`, so a second ping would go out before the first is judged.
    PingTimeoutExceedsInterval,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListenAddress => f.write_str("there is no address to listen on"),
            Self::MetricsAddressNotItsOwn => {
                f.write_str("the address for metrics must not be one for clients")
            }
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
            Self::SoftLimitExceedsOutbox => {
                f.write_str("the soft size limit of outboxes must not exceed the other one")
            }
            Self::OutboxExceedsBudget => f.write_str(
                "the size limit of outboxes must not exceed the budget of buffered bytes",
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
    use std::time::Duration;

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
            (64, 128 * 1024)
        );
        assert!((1..=8).contains(&config.loop_count));
        let [.., (_, timeouts), _] = config.settings();
        let seconds: Vec<_> = timeouts.iter().map(|it| it.value.to_string()).collect();
        let expected = "10s 30s 60s 30s 10s 10s 25s 10s 5s 2s 10s";
        assert_eq!(seconds.join(" "), expected);
    }

    type Change<T> = fn(&mut Config) -> &mut T;

    /// Sets each to 0 and expects that it is found out, by a name of its own.
    fn assert_none_may_be_zero<T: Default>(settings: &[Change<T>]) {
        let mut names = Vec::new();
        for setting in settings {
            let Err(ConfigError::Zero { setting }) = verdict(|c| *setting(c) = T::default()) else {
                panic!("number {} may be zero", names.len());
            };
            assert!(!names.contains(&setting), "{setting} twice");
            names.push(setting);
        }
    }

    const COUNTS: &[Change<usize>] = &[
        |c| &mut c.loop_count,
        |c| &mut c.connections_max,
        |c| &mut c.descriptor_reserve,
        |c| &mut c.http.head_bytes_max,
        |c| &mut c.http.target_bytes_max,
        |c| &mut c.http.fields_max,
        |c| &mut c.http.body_bytes_max,
        |c| &mut c.outbox_bytes_max,
        |c| &mut c.outbox_soft_bytes,
        |c| &mut c.buffer_budget_bytes,
        |c| &mut c.replay.bytes_max,
        |c| &mut c.replay.messages_max,
        |c| &mut c.replay_budget_bytes,
        |c| &mut c.groups_per_connection_max,
        |c| &mut c.group_name_bytes_max,
        |c| &mut c.read_budget_bytes,
        |c| &mut c.write_budget_bytes,
        |c| &mut c.accept_budget,
        |c| &mut c.letter_budget,
    ];

    const SMALL_COUNTS: &[Change<u32>] = &[
        |c| &mut c.http_requests_max,
        |c| &mut c.message.fragments_max,
    ];

    const TIMEOUTS: &[Change<Duration>] = &[
        |c| &mut c.handshake_timeout,
        |c| &mut c.http_idle_timeout,
        |c| &mut c.message_timeout,
        |c| &mut c.recovery_timeout,
        |c| &mut c.write_timeout,
        |c| &mut c.outbox_soft_timeout,
        |c| &mut c.ping_interval,
        |c| &mut c.ping_timeout,
        |c| &mut c.close_timeout,
        |c| &mut c.linger_timeout,
        |c| &mut c.drain_timeout,
    ];

    #[test]
    fn lt_02_no_setting_may_be_zero() {
        assert_none_may_be_zero(COUNTS);
        assert_none_may_be_zero(SMALL_COUNTS);
        assert_none_may_be_zero(TIMEOUTS);
        assert_none_may_be_zero::<u64>(&[|c| &mut c.message.message_bytes_max]);
        let settings = Config::default().settings();
        let count: usize = settings.iter().map(|(_, group)| group.len()).sum();
        // What can be off has a type without zero: the rates and the connections of one address.
        let optional = 4;
        let tested = COUNTS.len() + SMALL_COUNTS.len() + TIMEOUTS.len() + 1 + optional;
        assert_eq!(tested, count, "a setting is not in the lists above");
    }

    #[test]
    fn lt_02_timeouts_are_at_most_a_day() {
        let day = Config::TIMEOUT_MAX;
        for timeout in TIMEOUTS {
            let with = |value| verdict(|c| *timeout(c) = value);
            for value in [day + Duration::from_nanos(1), Duration::MAX] {
                assert!(matches!(with(value), Err(ConfigError::TooLong { .. })));
            }
            let verdict = with(day);
            // A ping that is answered within a day is later than the next one, which is another matter.
            let is_fine = matches!(
                verdict,
                Ok(()) | Err(ConfigError::PingTimeoutExceedsInterval)
            );
            assert!(is_fine, "{verdict:?}");
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
    fn lt_02_metrics_have_an_address_of_their_own_or_none() {
        let metrics = |clients: &str, metrics: &str| {
            verdict(|c| {
                c.listen.push(clients.parse().unwrap());
                c.metrics_listen = metrics.parse().ok();
            })
        };
        let refused = Err(ConfigError::MetricsAddressNotItsOwn);
        assert_eq!(metrics("127.0.0.1:9000", "127.0.0.1:9000"), refused);
        assert_eq!(metrics("127.0.0.1:9000", "127.0.0.1:9001"), Ok(()));
        assert_eq!(metrics("127.0.0.1:0", "127.0.0.1:0"), Ok(()));
    }

    #[test]
    fn lt_02_an_outbox_holds_a_message_of_the_largest_size_and_its_header() {
        let outbox = |bytes| {
            verdict(|c| {
                c.message.message_bytes_max = 1000;
                c.outbox_bytes_max = bytes;
                c.outbox_soft_bytes = 500;
            })
        };
        assert_eq!(outbox(1014), Ok(()));
        assert_eq!(outbox(1013), Err(ConfigError::MessageExceedsOutbox));
        assert_eq!(outbox(999), Err(ConfigError::MessageExceedsOutbox));
    }

    #[test]
    fn lt_02_the_limits_of_what_waits_grow_from_soft_over_hard_to_all_together() {
        let mib = 1 << 20;
        let soft = |bytes| verdict(|c| c.outbox_soft_bytes = bytes);
        assert_eq!(soft(4 * mib), Ok(()));
        assert_eq!(soft(4 * mib + 1), Err(ConfigError::SoftLimitExceedsOutbox));
        let all = |bytes| verdict(|c| c.buffer_budget_bytes = bytes);
        assert_eq!(all(4 * mib), Ok(()));
        assert_eq!(all(4 * mib - 1), Err(ConfigError::OutboxExceedsBudget));
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
            ConfigError::MetricsAddressNotItsOwn,
            ConfigError::Zero { setting },
            ConfigError::TooLarge { setting, max: 7 },
            ConfigError::TooLong { setting },
            ConfigError::TargetExceedsHead,
            ConfigError::MessageExceedsOutbox,
            ConfigError::SoftLimitExceedsOutbox,
            ConfigError::OutboxExceedsBudget,
            ConfigError::PingTimeoutExceedsInterval,
        ] {
            let line = error.to_string();
            assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
        }
        let zero = ConfigError::Zero { setting };
        assert_eq!(zero.to_string(), "the read budget must not be 0");
    }
}
