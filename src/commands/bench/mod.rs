//! `switchboard bench`: load for a WebSocket server, and how it bears it.

mod bar;
mod outcome;

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchboard::client::load::{Load, LoadConfig, LoadMode, LoadTarget, Pace};
use switchboard::client::{ClientConfig, ClientError};

use self::bar::Bar;
use super::hub_access::Terms;
use super::interrupt::on_interrupt;
use super::place;
use super::quantity::{Size, Span};
use super::{Failure, say};

/// Measures a WebSocket server of any make: how many messages or connections it bears, and how long each takes.
///
/// All that comes back is compared with what was sent. With --rate, a message is timed from when it was due, so that a
/// server that stalls cannot hide it; without, each connection sends when it has got back what it sent.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Modes:
  echo       every client gets back what it sends: /echo here
  fan-out    the first client sends, and all others get it: /relay/GROUP here
  connect    every client opens a WebSocket and closes it, again and again

Examples:
  switchboard bench ws://127.0.0.1:8080/echo
  switchboard bench ws://127.0.0.1:8080/relay/room --mode fan-out --clients 1000 --rate 100 --duration 30s
  switchboard bench ws://127.0.0.1:8080/ws --mode connect --json | jq .latency_us.p99
  switchboard bench wss://chat.example/echo --i-own-this-server --clients 100

A rate takes one processor, to be punctual. Ctrl+C ends early, with the figures so far.

Exit codes: 0 if nothing went wrong, 1 if something did, 2 if the flags are wrong.")]
pub(super) struct Bench {
    /// Address of the endpoint
    #[arg(value_name = "URL")]
    url: String,

    /// What the clients do
    #[arg(long, value_name = "MODE", default_value = "echo")]
    mode: Mode,

    /// Connections at a time
    #[arg(long, value_name = "COUNT", default_value_t = LoadConfig::default().client_count)]
    clients: usize,

    /// Messages, or connections, in a second, of all clients together; without it, as many as the server bears
    #[arg(long, value_name = "RATE", conflicts_with = "in_flight", value_parser = rate)]
    rate: Option<f64>,

    /// Messages that a client sends without having got them back
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    in_flight: usize,

    /// Size of a message
    #[arg(long, value_name = "SIZE", default_value_t = LoadConfig::default().payload_len.into())]
    size: Size,

    /// For how long
    #[arg(long, value_name = "TIME", default_value_t = LoadConfig::default().duration.into())]
    duration: Span,

    /// Send binary messages instead of texts
    #[arg(long, value_parser = BoolishValueParser::new())]
    binary: bool,

    /// Write the figures as one JSON object
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,

    /// Aim at a server on another machine: only at one that is yours
    #[arg(long, value_parser = BoolishValueParser::new())]
    i_own_this_server: bool,

    #[command(flatten)]
    terms: Terms,
}

/// What the clients do, as it stands on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Echo,
    FanOut,
    Connect,
}

impl Bench {
    /// Runs the load, and says what came of it.
    ///
    /// # Errors
    ///
    /// The flags contradict each other, the server cannot be reached or is not ours to load, or something went wrong.
    pub(super) fn run(self) -> Result<(), Failure> {
        let url = place::endpoint(&self.url)?;
        let config = self.config(self.terms.client_config(&url, None)?)?;
        let target = LoadTarget::find(url).map_err(|error| say_why(&error))?;
        if !target.is_loopback() && !self.i_own_this_server {
            return Err(Failure::Usage(format!(
                "{} is on another machine: a load can do harm there; \
                 add --i-own-this-server if it is yours",
                target.url()
            )));
        }
        check_descriptors(config.client_count)?;
        let heading = outcome::heading(&target, &config);
        let bar = Bar::new(&config);
        let load = Load::prepare(target, config).map_err(|error| say_why(&error))?;
        let stopper = load.stopper();
        on_interrupt(move || stopper.stop())
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        let ran = load.run(|progress| bar.show(progress));
        bar.clear();
        let report = ran.map_err(|error| say_why(&error))?;
        if self.json {
            say(&outcome::json(&heading, &report));
        } else {
            say(&outcome::table(&heading, &report));
        }
        match &report.first_error {
            None if report.error_count() == 0 => Ok(()),
            first => Err(Failure::Runtime(format!(
                "{} went wrong, first: {}",
                report.error_count(),
                first.as_deref().unwrap_or("messages did not come back")
            ))),
        }
    }

    fn config(&self, client: ClientConfig) -> Result<LoadConfig, Failure> {
        let mut config = LoadConfig::default();
        config.client = client;
        config.mode = match self.mode {
            Mode::Echo => LoadMode::Echo,
            Mode::FanOut => LoadMode::FanOut,
            Mode::Connect => LoadMode::Connect,
        };
        config.client_count = self.clients;
        config.pace = match self.rate {
            Some(rate) => Pace::PerSecond(rate),
            None => Pace::InFlight(self.in_flight),
        };
        config.payload_len = self.size.in_memory();
        config.is_text = !self.binary;
        config.duration = self.duration.duration();
        let clients_min = if self.mode == Mode::FanOut { 2 } else { 1 };
        let refuse = |text: &str| Err(Failure::Usage(text.into()));
        if config.client_count < clients_min {
            return refuse("too few clients: one at least, and for a fan-out two");
        }
        if self.in_flight == 0 {
            return refuse("with no message in flight nothing is ever sent");
        }
        if self.size.on_the_wire() > config.client.message.message_bytes_max {
            return refuse("a message of a load has at most 16 MiB");
        }
        if config.duration > DURATION_MAX {
            return refuse("a load takes at most a day");
        }
        Ok(config)
    }
}

/// Longest load.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Descriptors besides the sockets: standard streams, the poll and its waker, signals, and what libraries open for a while.
const DESCRIPTORS_BESIDES: u64 = 16;

/// Raises the limit of descriptors as far as it may be raised.
///
/// # Errors
///
/// It does not suffice.
fn check_descriptors(client_count: usize) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    let needed = (client_count as u64).saturating_add(DESCRIPTORS_BESIDES);
    match limit {
        Some(limit) if limit < needed => Err(Failure::Runtime(format!(
            "too few descriptors: {client_count} clients need {needed}, and the limit is {limit} (ulimit -n)"
        ))),
        _ => Ok(()),
    }
}

/// What a person is told of a load that does not begin.
fn say_why(error: &ClientError) -> Failure {
    match error {
        ClientError::Field(_) => {
            Failure::Usage("the token cannot be sent: it has a control character".into())
        }
        _ => Failure::Runtime(error.to_string()),
    }
}

/// Reads a number of messages in a second.
fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: f64 = text.parse().map_err(|_| "not a number")?;
    if rate.is_finite() && (0.001..=1e9).contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate is between 0.001 and 1,000,000,000 in a second")
    }
}
