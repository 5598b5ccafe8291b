//! The limits of [`Config`] as flags; what each one is for, its range and its reason stand there.

use clap::Args;
use switchboard::config::Config;

use super::quantity::{OrOff, Size, Span};

/// Every limit of a server; the defaults are those of [`Config::default`].
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// Bytes of one message; a larger one ends its connection with 1009
    #[arg(long, value_name = "SIZE", default_value_t = defaults().message.message_bytes_max.into())]
    max_message: Size,

    /// Frames of one message, empty ones included
    #[arg(long, value_name = "COUNT", default_value_t = defaults().message.fragments_max)]
    max_fragments: u32,

    /// Bytes waiting for one receiver; a slower one is closed with 1008, or loses messages by policy
    #[arg(long, value_name = "SIZE", default_value_t = defaults().outbox_bytes_max.into())]
    max_outbox: Size,

    /// Bytes waiting for one receiver above which it is not read from, and not for long
    #[arg(long, value_name = "SIZE", default_value_t = defaults().outbox_soft_bytes.into())]
    soft_outbox: Size,

    /// Bytes waiting for, or come from, all connections together; above it the largest are closed with 1008
    #[arg(long, value_name = "SIZE", default_value_t = defaults().buffer_budget_bytes.into())]
    buffer_budget: Size,

    /// Bytes that one recoverable client may leave unacknowledged; one that leaves more is closed with 1008
    #[arg(long, value_name = "SIZE", default_value_t = defaults().replay.bytes_max.into())]
    max_replay: Size,

    /// Messages that one recoverable client may leave unacknowledged
    #[arg(long, value_name = "COUNT", default_value_t = defaults().replay.messages_max)]
    max_replay_messages: usize,

    /// Bytes that all recoverable clients together may leave unacknowledged
    #[arg(long, value_name = "SIZE", default_value_t = defaults().replay_budget_bytes.into())]
    replay_budget: Size,

    /// Open connections, if there are descriptors for so many; further ones get a 503
    #[arg(long, value_name = "COUNT", default_value_t = defaults().connections_max)]
    max_connections: usize,

    /// Descriptors that connections do not get
    #[arg(long, value_name = "COUNT", default_value_t = defaults().descriptor_reserve)]
    descriptor_reserve: usize,

    /// Open connections of one address, or off; further ones get a 503, behind a trusted proxy a 429
    #[arg(long, value_name = "COUNT", default_value_t = defaults().connections_per_address_max.into())]
    max_connections_per_address: OrOff<u32>,

    /// Groups that one connection may be a member of
    #[arg(long, value_name = "COUNT", default_value_t = defaults().groups_per_connection_max)]
    max_groups: usize,

    /// Bytes of a group's name
    #[arg(long, value_name = "SIZE", default_value_t = defaults().group_name_bytes_max.into())]
    max_group_name: Size,

    /// Bytes of a request's head
    #[arg(long, value_name = "SIZE", default_value_t = defaults().http.head_bytes_max.into())]
    max_head: Size,

    /// Bytes of a request's target
    #[arg(long, value_name = "SIZE", default_value_t = defaults().http.target_bytes_max.into())]
    max_target: Size,

    /// Header fields of a request
    #[arg(long, value_name = "COUNT", default_value_t = defaults().http.fields_max)]
    max_fields: usize,

    /// Bytes of a request's body
    #[arg(long, value_name = "SIZE", default_value_t = defaults().http.body_bytes_max.into())]
    max_body: Size,

    /// Requests of one connection
    #[arg(long, value_name = "COUNT", default_value_t = defaults().http_requests_max)]
    max_http_requests: u32,

    #[command(flatten)]
    rates: Rates,

    #[command(flatten)]
    timeouts: Timeouts,

    #[command(flatten)]
    budgets: Budgets,
}

/// What one peer may send in a second. Who is ahead by more than a second is read from later; who is ahead for ten
/// seconds is closed with 1008.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What one peer may send in a second")]
struct Rates {
    /// Pings, pongs and close frames, or off; a peer that keeps being faster is closed with 1008
    #[arg(long, value_name = "COUNT", default_value_t = defaults().rates.control_frames_per_second_max.into())]
    control_frame_rate: OrOff<u32>,

    /// Messages, those to join and leave groups among them, or off
    #[arg(long, value_name = "COUNT", default_value_t = defaults().rates.messages_per_second_max.into())]
    message_rate: OrOff<u32>,

    /// Bytes, or off
    #[arg(long, value_name = "SIZE", default_value_t = defaults().rates.bytes_per_second_max.into())]
    byte_rate: OrOff<Size>,
}

/// How long a peer may take for what it has to do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Timeouts")]
struct Timeouts {
    /// Time from accept to a complete request head
    #[arg(long, value_name = "TIME", default_value_t = defaults().handshake_timeout.into())]
    handshake_timeout: Span,

    /// Time from one response to the next complete request head
    #[arg(long, value_name = "TIME", default_value_t = defaults().http_idle_timeout.into())]
    http_idle_timeout: Span,

    /// Time from the first byte of a message to its last
    #[arg(long, value_name = "TIME", default_value_t = defaults().message_timeout.into())]
    message_timeout: Span,

    /// Time for which a recoverable client may be without a connection
    #[arg(long, value_name = "TIME", default_value_t = defaults().recovery_timeout.into())]
    recovery_timeout: Span,

    /// Time for which a receiver may take no byte of what waits for it
    #[arg(long, value_name = "TIME", default_value_t = defaults().write_timeout.into())]
    write_timeout: Span,

    /// Time for which more than --soft-outbox may wait for a receiver before it is closed with 1008
    #[arg(long, value_name = "TIME", default_value_t = defaults().outbox_soft_timeout.into())]
    soft_outbox_timeout: Span,

    /// Time between two pings
    #[arg(long, value_name = "TIME", default_value_t = defaults().ping_interval.into())]
    ping_interval: Span,

    /// Time for a sign of life after a ping; shorter than the interval
    #[arg(long, value_name = "TIME", default_value_t = defaults().ping_timeout.into())]
    ping_timeout: Span,

    /// Time for the peer's close frame after ours
    #[arg(long, value_name = "TIME", default_value_t = defaults().close_timeout.into())]
    close_timeout: Span,

    /// Time for the peer's end of stream after ours
    #[arg(long, value_name = "TIME", default_value_t = defaults().linger_timeout.into())]
    linger_timeout: Span,

    /// Time from SIGTERM or SIGINT to the end of the process
    #[arg(long, value_name = "TIME", default_value_t = defaults().drain_timeout.into())]
    drain: Span,
}

/// How much one turn of an event loop does before it looks after everyone else.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Budgets of one turn of an event loop")]
struct Budgets {
    /// Bytes read from one connection
    #[arg(long, value_name = "SIZE", default_value_t = defaults().read_budget_bytes.into())]
    read_budget: Size,

    /// Bytes written to one connection
    #[arg(long, value_name = "SIZE", default_value_t = defaults().write_budget_bytes.into())]
    write_budget: Size,

    /// Connections accepted
    #[arg(long, value_name = "COUNT", default_value_t = defaults().accept_budget)]
    accept_budget: usize,

    /// Letters taken from other loops
    #[arg(long, value_name = "COUNT", default_value_t = defaults().letter_budget)]
    letter_budget: usize,
}

impl Limits {
    /// Writes every limit into `config`.
    pub(super) fn apply_to(&self, config: &mut Config) {
        config.message.message_bytes_max = self.max_message.on_the_wire();
        config.message.fragments_max = self.max_fragments;
        config.outbox_bytes_max = self.max_outbox.in_memory();
        config.outbox_soft_bytes = self.soft_outbox.in_memory();
        config.buffer_budget_bytes = self.buffer_budget.in_memory();
        config.replay.bytes_max = self.max_replay.in_memory();
        config.replay.messages_max = self.max_replay_messages;
        config.replay_budget_bytes = self.replay_budget.in_memory();
        config.connections_max = self.max_connections;
        config.descriptor_reserve = self.descriptor_reserve;
        config.connections_per_address_max = self.max_connections_per_address.count();
        config.groups_per_connection_max = self.max_groups;
        config.group_name_bytes_max = self.max_group_name.in_memory();
        config.http.head_bytes_max = self.max_head.in_memory();
        config.http.target_bytes_max = self.max_target.in_memory();
        config.http.fields_max = self.max_fields;
        config.http.body_bytes_max = self.max_body.in_memory();
        config.http_requests_max = self.max_http_requests;
        self.rates.apply_to(config);
        self.timeouts.apply_to(config);
        self.budgets.apply_to(config);
    }
}

impl Rates {
    fn apply_to(&self, config: &mut Config) {
        config.rates.control_frames_per_second_max = self.control_frame_rate.count();
        config.rates.messages_per_second_max = self.message_rate.count();
        config.rates.bytes_per_second_max = self.byte_rate.bytes();
    }
}

impl Timeouts {
    fn apply_to(&self, config: &mut Config) {
        config.handshake_timeout = self.handshake_timeout.duration();
        config.http_idle_timeout = self.http_idle_timeout.duration();
        config.message_timeout = self.message_timeout.duration();
        config.recovery_timeout = self.recovery_timeout.duration();
        config.write_timeout = self.write_timeout.duration();
        config.outbox_soft_timeout = self.soft_outbox_timeout.duration();
        config.ping_interval = self.ping_interval.duration();
        config.ping_timeout = self.ping_timeout.duration();
        config.close_timeout = self.close_timeout.duration();
        config.linger_timeout = self.linger_timeout.duration();
        config.drain_timeout = self.drain.duration();
    }
}

impl Budgets {
    fn apply_to(&self, config: &mut Config) {
        config.read_budget_bytes = self.read_budget.in_memory();
        config.write_budget_bytes = self.write_budget.in_memory();
        config.accept_budget = self.accept_budget;
        config.letter_budget = self.letter_budget;
    }
}

/// Where the defaults of the flags come from.
fn defaults() -> Config {
    Config::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use switchboard::config::Setting;

    /// The limits as a command line of their own.
    #[derive(Parser)]
    struct LimitsAlone {
        #[command(flatten)]
        limits: Limits,
    }

    fn config(arguments: &[&str]) -> Config {
        let arguments = ["limits"].iter().chain(arguments);
        let mut config = Config::default();
        LimitsAlone::try_parse_from(arguments)
            .unwrap()
            .limits
            .apply_to(&mut config);
        config
    }

    #[test]
    fn without_flags_the_settings_are_the_defaults() {
        assert_eq!(config(&[]), Config::default());
    }

    fn settings(config: &Config) -> Vec<Setting> {
        config
            .settings()
            .into_iter()
            .flat_map(|(_, group)| group)
            .collect()
    }

    /// Gives every flag the value 7 (bytes, seconds or things), one after the other, and expects one setting to change.
    #[test]
    fn every_flag_changes_one_setting_and_no_two_the_same() {
        use clap::CommandFactory;
        let mut seen = Vec::new();
        for arg in LimitsAlone::command().get_arguments() {
            let flag = format!("--{}", arg.get_long().unwrap());
            let is_time = arg.get_value_names().unwrap()[0] == "TIME";
            let changed = settings(&config(&[&flag, if is_time { "7s" } else { "7" }]));
            let default = settings(&Config::default());
            let lines: Vec<_> = changed
                .into_iter()
                .zip(default)
                .enumerate()
                .filter(|(_, (a, b))| a != b)
                .collect();
            let &[(line, _)] = lines.as_slice() else {
                panic!("{flag} changes {lines:?}")
            };
            assert!(
                !seen.contains(&line),
                "{flag} changes what another flag changes"
            );
            seen.push(line);
        }
        let settings = Config::default().settings();
        let setting_count: usize = settings.iter().map(|(_, group)| group.len()).sum();
        // The number of event loops has its flag elsewhere.
        assert_eq!(seen.len(), setting_count - 1);
    }

    #[test]
    fn a_size_beyond_the_machine_is_refused_and_not_cut() {
        assert!(config(&["--max-outbox", "16000000TiB"]).validate().is_err());
    }
}
