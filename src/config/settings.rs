//! The limits as a table: what each is called, its value, and the most it may be.
//!
//! One row serves both the check and the line that the server shows at its start, so neither can forget a setting.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::Config;

/// One limit as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What to call it.
    pub name: &'static str,
    /// What it is set to.
    pub value: Value,
    /// The most it may be, in the unit of its value; times are all bounded by [`Config::TIMEOUT_MAX`].
    pub max: u64,
}

/// The value of a setting with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A time.
    Time(Duration),
    /// No limit, which somebody decided.
    Off,
}

impl Config {
    /// Every limit, in groups of those that belong together.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, Vec<Setting>); 6] {
        [
            ("connections", self.connection_settings()),
            ("requests", self.request_settings()),
            ("messages", self.message_settings()),
            ("what one peer sends in a second", self.rate_settings()),
            ("timeouts", self.timeouts()),
            ("turns", self.turn_settings()),
        ]
    }

    /// The settings as lines for the log, one for each group.
    pub fn setting_lines(&self) -> impl Iterator<Item = String> {
        self.settings().into_iter().map(|(group, settings)| {
            let settings: Vec<_> = settings.iter().map(Setting::to_string).collect();
            format!("settings for {group}: {}", settings.join(", "))
        })
    }

    fn connection_settings(&self) -> Vec<Setting> {
        vec![
            count(
                "number of event loops",
                self.loop_count,
                Self::LOOP_COUNT_MAX,
            ),
            count(
                "limit of connections",
                self.connections_max,
                Self::CONNECTIONS_MAX,
            ),
            count(
                "descriptor reserve",
                self.descriptor_reserve,
                Self::CONNECTIONS_MAX,
            ),
            optional(
                "limit of connections per address",
                self.connections_per_address_max,
                Value::Count,
            ),
            count(
                "limit of groups",
                self.groups_per_connection_max,
                Self::GROUPS_MAX,
            ),
            bytes(
                "size limit of group names",
                self.group_name_bytes_max,
                Self::GROUP_NAME_BYTES_MAX,
            ),
        ]
    }

    fn request_settings(&self) -> Vec<Setting> {
        vec![
            bytes(
                "size limit of request heads",
                self.http.head_bytes_max,
                Self::HEAD_BYTES_MAX,
            ),
            bytes(
                "size limit of request targets",
                self.http.target_bytes_max,
                Self::HEAD_BYTES_MAX,
            ),
            count(
                "limit of header fields",
                self.http.fields_max,
                Self::FIELDS_MAX,
            ),
            bytes(
                "size limit of request bodies",
                self.http.body_bytes_max,
                Self::BODY_BYTES_MAX,
            ),
            small_count("limit of requests", self.http_requests_max),
        ]
    }

    fn message_settings(&self) -> Vec<Setting> {
        vec![
            Setting {
                name: "size limit of messages",
                value: Value::Bytes(self.message.message_bytes_max),
                max: Self::OUTBOX_BYTES_MAX as u64,
            },
            small_count("limit of fragments", self.message.fragments_max),
            bytes(
                "size limit of outboxes",
                self.outbox_bytes_max,
                Self::OUTBOX_BYTES_MAX,
            ),
            bytes(
                "soft size limit of outboxes",
                self.outbox_soft_bytes,
                Self::OUTBOX_BYTES_MAX,
            ),
            bytes(
                "budget of buffered bytes",
                self.buffer_budget_bytes,
                usize::MAX,
            ),
            bytes(
                "size limit of unacknowledged messages",
                self.replay.bytes_max,
                Self::OUTBOX_BYTES_MAX,
            ),
            count(
                "limit of unacknowledged messages",
                self.replay.messages_max,
                u32::MAX as usize,
            ),
            bytes(
                "budget of unacknowledged bytes",
                self.replay_budget_bytes,
                usize::MAX,
            ),
        ]
    }

    fn rate_settings(&self) -> Vec<Setting> {
        let rates = &self.rates;
        vec![
            optional(
                "rate of control frames",
                rates.control_frames_per_second_max,
                Value::Count,
            ),
            optional(
                "rate of messages",
                rates.messages_per_second_max,
                Value::Count,
            ),
            optional("rate of bytes", rates.bytes_per_second_max, Value::Bytes),
        ]
    }

    fn timeouts(&self) -> Vec<Setting> {
        vec![
            time("handshake timeout", self.handshake_timeout),
            time("HTTP idle timeout", self.http_idle_timeout),
            time("message timeout", self.message_timeout),
            time("recovery timeout", self.recovery_timeout),
            time("write timeout", self.write_timeout),
            time("time over the soft limit", self.outbox_soft_timeout),
            time("ping interval", self.ping_interval),
            time("ping timeout", self.ping_timeout),
            time("close timeout", self.close_timeout),
            time("linger timeout", self.linger_timeout),
            time("drain time", self.drain_timeout),
        ]
    }

    fn turn_settings(&self) -> Vec<Setting> {
        vec![
            bytes("read budget", self.read_budget_bytes, Self::BUDGET_MAX),
            bytes("write budget", self.write_budget_bytes, Self::BUDGET_MAX),
            count("accept budget", self.accept_budget, Self::BUDGET_MAX),
            count("letter budget", self.letter_budget, Self::BUDGET_MAX),
        ]
    }
}

fn count(name: &'static str, value: usize, max: usize) -> Setting {
    Setting {
        name,
        value: Value::Count(value as u64),
        max: max as u64,
    }
}

/// A count that its type bounds.
fn small_count(name: &'static str, value: u32) -> Setting {
    Setting {
        name,
        value: Value::Count(value.into()),
        max: u32::MAX.into(),
    }
}

/// A limit that can be switched off, with the unit of its value.
fn optional(name: &'static str, limit: Option<NonZeroU32>, unit: fn(u64) -> Value) -> Setting {
    Setting {
        name,
        value: limit.map_or(Value::Off, |limit| unit(limit.get().into())),
        max: u32::MAX.into(),
    }
}

fn bytes(name: &'static str, value: usize, max: usize) -> Setting {
    Setting {
        name,
        value: Value::Bytes(value as u64),
        max: max as u64,
    }
}

fn time(name: &'static str, value: Duration) -> Setting {
    Setting {
        name,
        value: Value::Time(value),
        max: u64::MAX,
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(count) => {
                let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
                let whole = |&(shift, _): &(u32, &str)| count > 0 && count % (1 << shift) == 0;
                match units.into_iter().find(whole) {
                    Some((shift, unit)) => write!(f, "{} {unit}", count >> shift),
                    None => write!(f, "{count} bytes"),
                }
            }
            Self::Off => f.write_str("off"),
            Self::Time(time) => write!(f, "{time:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lt_01_the_settings_are_shown_with_their_units_in_a_few_lines() {
        let lines: Vec<_> = Config::default().setting_lines().collect();
        assert_eq!(lines.len(), 6);
        for (line, says) in lines.iter().zip([
            "settings for connections: number of event loops ",
            "size limit of request heads 16 KiB, size limit of request targets 8000 bytes",
            "size limit of messages 1 MiB, limit of fragments 131072",
            "rate of control frames 100, rate of messages off, rate of bytes off",
            "settings for timeouts: handshake timeout 10s, ",
            "read budget 128 KiB",
        ]) {
            assert!(line.contains(says) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn no_two_settings_have_the_same_name() {
        let settings = Config::default().settings();
        let mut names: Vec<_> = settings
            .iter()
            .flat_map(|(_, group)| group)
            .map(|setting| setting.name)
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_divides_them() {
        for (count, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1 << 10, "1 KiB"),
            (1025, "1025 bytes"),
            (3 << 20, "3 MiB"),
            (1 << 30, "1 GiB"),
        ] {
            assert_eq!(Value::Bytes(count).to_string(), text);
        }
    }
}
