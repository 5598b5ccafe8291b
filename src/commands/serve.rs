//! `switchboard serve`: runs the server.

use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Args;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use log::LevelFilter;
use switchboard::config::Config;
use switchboard::endpoints::{EndpointSettings, Endpoints};
use switchboard::http::OriginPolicy;
use switchboard::server::Server;

use super::Failure;
use super::limits::Limits;

/// Runs the server until SIGTERM or SIGINT.
///
/// Sizes are bytes or take KiB, MiB, GiB; times take ms, s, m. No limit can be switched off with 0.
#[derive(Clone, Debug, Args)]
pub(super) struct Serve {
    /// Address and port to listen on, repeatable; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = Config::default().listen)]
    listen: Vec<SocketAddr>,

    /// Event loops, each with a thread of its own
    #[arg(long, value_name = "COUNT", default_value_t = Config::default().loop_count)]
    threads: usize,

    /// Serve everyone without an access key on addresses that other machines can reach
    #[arg(long, value_parser = BoolishValueParser::new())]
    anonymous: bool,

    /// Web origin whose pages may connect besides our own, repeatable; * for all
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,

    /// Switch the /echo endpoint off
    #[arg(long, value_parser = BoolishValueParser::new())]
    no_echo: bool,

    /// How much is logged to standard error
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level_parser())]
    log_level: LevelFilter,

    #[command(flatten)]
    limits: Limits,
}

impl Serve {
    /// How much is to be logged.
    pub(super) fn log_level(&self) -> LevelFilter {
        self.log_level
    }

    /// Serves; returns when the server has been told to stop and everyone is gone.
    ///
    /// # Errors
    ///
    /// Settings that contradict each other, an address that would let in strangers, a port that is taken.
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = self.config();
        config
            .validate()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        self.check_exposure()?;
        let endpoints = Endpoints::new(self.endpoint_settings(&config)?);
        log::info!("settings: {config:?}");
        let mut server = Server::bind(config, &endpoints).map_err(runtime)?;
        // Before the first line, because whoever reads that line may stop us at once.
        server.stop_on_signals().map_err(runtime)?;
        announce(server.local_addresses());
        server.run().map_err(runtime)
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        config.listen.clone_from(&self.listen);
        config.loop_count = self.threads;
        self.limits.apply_to(&mut config);
        config
    }

    fn endpoint_settings(&self, config: &Config) -> Result<EndpointSettings, Failure> {
        let mut origins = OriginPolicy::default();
        for entry in &self.allow_origin {
            let malformed = |error| Failure::Usage(format!("the origin {entry:?}: {error}"));
            origins.allow(entry).map_err(malformed)?;
        }
        if origins.allows_any() {
            log::warn!("pages of every web origin may connect");
        }
        Ok(EndpointSettings {
            groups_per_connection_max: config.groups_per_connection_max,
            group_name_bytes_max: config.group_name_bytes_max,
            offers_echo: !self.no_echo,
            origins,
        })
    }

    /// Without an access key whoever can connect is served, so that must be this machine or somebody's decision.
    fn check_exposure(&self) -> Result<(), Failure> {
        let is_loopback = |addr: &&SocketAddr| addr.ip().to_canonical().is_loopback();
        let Some(exposed) = self.listen.iter().find(|addr| !is_loopback(addr)) else {
            return Ok(());
        };
        if !self.anonymous {
            return Err(Failure::Usage(format!(
                "{exposed} can be reached by other machines and there is no access key: \
                 add --anonymous to serve everyone, or listen on 127.0.0.1 or [::1]"
            )));
        }
        log::warn!("{exposed} serves everyone who can reach it, without encryption");
        Ok(())
    }
}

/// Says where the server listens, as a contract with scripts: one line for each address, the real port in it.
fn announce(addresses: &[SocketAddr]) {
    let mut stdout = io::stdout().lock();
    let announced = addresses
        .iter()
        .try_for_each(|addr| writeln!(stdout, "listening on http://{addr}"))
        .and_then(|()| stdout.flush());
    if let Err(error) = announced {
        // Nobody reads it, which is no reason not to serve.
        log::debug!("standard output: {error}");
    }
}

/// Reads one of the names of the log levels, and can list them.
fn log_level_parser() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<LevelFilter>())
}

fn runtime(error: impl std::error::Error) -> Failure {
    Failure::Runtime(error.to_string())
}
