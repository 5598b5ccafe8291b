//! `switchboard serve`: runs the server.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Args;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use log::LevelFilter;
use switchboard::config::Config;
#[cfg(feature = "deflate")]
use switchboard::endpoints::GroupPattern;
use switchboard::endpoints::{EndpointSettings, Endpoints, GroupPolicies, PolicyRule, PublicUrl};
use switchboard::http::{HostPolicy, Network, OriginPolicy};
#[cfg(feature = "tls")]
use switchboard::server::ServerError;
use switchboard::server::{Ended, Server};

use super::Failure;
use super::access_keys::AccessKeys;
#[cfg(feature = "tls")]
use super::encryption::Encryption;
use super::history::History;
use super::limits::Limits;
use super::quantity::OrOff;

/// Runs the server until SIGTERM or SIGINT.
///
/// Sizes are bytes or take KiB, MiB, GiB; times take ms, s, m. No limit can be switched off with 0.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard serve --listen 127.0.0.1:9000
  switchboard serve --listen 0.0.0.0:8080 --access-key-file /etc/switchboard/key --allow-host chat.example.com
  switchboard serve --policy 'camera.*=latest' --history 'room=50' --max-message 64KiB

Exit codes: 0 after SIGTERM or SIGINT, 1 after a second one or if it cannot run, 2 if flags or settings are wrong.")]
pub(super) struct Serve {
    /// Address and port to listen on, repeatable; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values_t = Config::default().listen)]
    listen: Vec<SocketAddr>,

    /// Address and port for /metrics, which is then there alone, for whoever can reach it
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    encryption: Encryption,

    /// Event loops, each with a thread of its own
    #[arg(long, value_name = "COUNT", default_value_t = Config::default().loop_count)]
    threads: usize,

    /// Serve everyone without an access key on addresses that other machines can reach
    #[arg(long, value_parser = BoolishValueParser::new())]
    anonymous: bool,

    #[command(flatten)]
    credentials: Credentials,

    /// Web origin whose pages may connect besides our own, repeatable; * for all
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,

    /// Host that requests may be addressed to, repeatable; any port unless it has one, *.example.com for all names below;
    /// without this flag, any host
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow_host: Vec<String>,

    /// Network of proxies that are believed when they say in X-Forwarded-For whom they speak for, repeatable
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxy: Vec<Network>,

    /// Requests of services carried out in a second, or off; further ones get a 429
    #[arg(long, value_name = "COUNT", default_value_t = EndpointSettings::default().rest_requests_per_second_max.into())]
    rest_rate: OrOff<u32>,

    /// What becomes of messages of a group that do not fit into an outbox, repeatable: close the receiver, drop-newest,
    /// drop-oldest or latest; the first pattern that matches counts: ticker.**=latest
    #[arg(long, value_name = "PATTERN=POLICY", value_delimiter = ',')]
    policy: Vec<PolicyRule>,

    /// Compress messages for clients that ask for it (permessage-deflate)
    #[cfg(feature = "deflate")]
    #[arg(long, value_parser = BoolishValueParser::new())]
    compression: bool,

    /// Groups whose messages are never compressed, repeatable: those that mix secrets with what others may write
    #[cfg(feature = "deflate")]
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    uncompressed: Vec<GroupPattern>,

    /// Switch the /echo endpoint off
    #[arg(long, value_parser = BoolishValueParser::new())]
    no_echo: bool,

    /// How much is logged to standard error
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level_parser())]
    log_level: LevelFilter,

    #[command(flatten)]
    history: History,

    #[command(flatten)]
    limits: Limits,
}

/// Who is let in.
#[derive(Clone, Debug, Args)]
struct Credentials {
    #[command(flatten)]
    keys: AccessKeys,

    /// Where clients find this server if that is not what their Host field says, repeatable
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    public_url: Vec<PublicUrl>,

    /// Wrong tokens that one client may show in a minute, or off; then it gets a 429 whatever it shows
    #[arg(long, value_name = "COUNT", default_value_t = EndpointSettings::default().failed_log_ins_per_minute_max.into())]
    max_failed_log_ins: OrOff<u32>,

    /// Close connections with 1008 when their token ends
    #[arg(long, value_parser = BoolishValueParser::new())]
    enforce_expiry: bool,
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
        let settings = self.endpoint_settings(&config)?;
        self.check_exposure(settings.access_keys.is_empty(), scheme_of(&config))?;
        let own_lines = [
            self.access_line(settings.access_keys.len()),
            self.history.to_string(),
        ];
        let setting_lines: Vec<_> = config.setting_lines().chain(own_lines).collect();
        let endpoints = Endpoints::new(settings);
        let scheme = scheme_of(&config);
        let mut server = Server::bind(config, &endpoints).map_err(|error| match error {
            #[cfg(feature = "tls")]
            ServerError::Certificate(error) => Failure::Usage(error.to_string()),
            error => runtime(error),
        })?;
        // Not before: a server that cannot listen says that and nothing else.
        for line in setting_lines {
            log::info!("{line}");
        }
        // Before the first line, because whoever reads that line may stop us at once.
        server.stop_on_signals().map_err(runtime)?;
        announce(scheme, server.local_addresses(), server.metrics_address());
        match server.run().map_err(runtime)? {
            Ended::Drained => Ok(()),
            // A script must be able to tell: somebody may have been cut off.
            Ended::AtOnce => Err(Failure::Runtime(
                "stopped at once by a second signal".into(),
            )),
        }
    }

    /// Who may do what, as a line for the start; never a secret.
    fn access_line(&self, key_count: usize) -> String {
        let number_or = |count, none| match count {
            0 => String::from(none),
            count => count.to_string(),
        };
        format!(
            "settings for access: access keys {}, origins besides our own {}, hosts {}, trusted proxies {}, \
             rate of services {}, failed log-ins in a minute {}, policies of groups {}",
            number_or(key_count, "none"),
            number_or(self.allow_origin.len(), "none"),
            number_or(self.allow_host.len(), "any"),
            number_or(self.trusted_proxy.len(), "none"),
            self.rest_rate,
            self.credentials.max_failed_log_ins,
            number_or(self.policy.len(), "none"),
        )
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        config.listen.clone_from(&self.listen);
        config.metrics_listen = self.metrics_listen;
        config.loop_count = self.threads;
        config.trusted_proxies = self.trusted_proxy.clone().into();
        #[cfg(feature = "tls")]
        {
            config.tls = self.encryption.files();
        }
        self.limits.apply_to(&mut config);
        config
    }

    fn policies(&self) -> GroupPolicies {
        let policies = GroupPolicies::from(self.policy.clone());
        #[cfg(feature = "deflate")]
        let policies = policies.with_uncompressed(self.uncompressed.clone());
        policies
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
        let mut hosts = HostPolicy::default();
        for entry in &self.allow_host {
            let malformed = |error| Failure::Usage(format!("the host {entry:?}: {error}"));
            hosts.allow(entry).map_err(malformed)?;
        }
        Ok(EndpointSettings {
            hosts,
            failed_log_ins_per_minute_max: self.credentials.max_failed_log_ins.count(),
            rest_requests_per_second_max: self.rest_rate.count(),
            #[cfg(feature = "deflate")]
            compresses: self.compression,
            offers_echo: !self.no_echo,
            origins,
            policies: self.policies(),
            access_keys: self.credentials.keys.all()?,
            public_urls: self.credentials.public_url.clone(),
            enforces_expiry: self.credentials.enforce_expiry,
            history: self.history.settings()?,
            ..EndpointSettings::from(config)
        })
    }

    /// Without an access key whoever can connect is served, so that must be this machine or somebody's decision.
    fn check_exposure(&self, has_no_key: bool, scheme: &str) -> Result<(), Failure> {
        let is_loopback = |addr: &&SocketAddr| addr.ip().to_canonical().is_loopback();
        if let Some(exposed) = self.metrics_listen.filter(|addr| !is_loopback(&addr)) {
            log::warn!("{exposed} shows metrics to everyone who can reach it, without encryption");
        }
        let Some(exposed) = self.listen.iter().find(|addr| !is_loopback(addr)) else {
            return Ok(());
        };
        if !has_no_key {
            if scheme == HTTP {
                log::warn!("{exposed} is served without encryption: tokens can be read on the way");
            }
            return Ok(());
        }
        if !self.anonymous {
            return Err(Failure::Usage(format!(
                "{exposed} can be reached by other machines and there is no access key: \
                 add --anonymous to serve everyone, or listen on 127.0.0.1 or [::1]"
            )));
        }
        let encryption = if scheme == HTTP {
            ", without encryption"
        } else {
            ""
        };
        log::warn!("{exposed} serves everyone who can reach it{encryption}");
        Ok(())
    }
}

/// How clients have to call the server if nothing is encrypted.
const HTTP: &str = "http";

/// How clients have to call the server.
#[cfg_attr(
    not(feature = "tls"),
    expect(unused_variables, reason = "without encryption there is one way only")
)]
fn scheme_of(config: &Config) -> &'static str {
    #[cfg(feature = "tls")]
    if config.tls.is_some() {
        return "https";
    }
    HTTP
}

/// Says where the server listens, as a contract with scripts: one line for each address, the real port in it, and then
/// one for that of the metrics.
fn announce(scheme: &str, addresses: &[SocketAddr], metrics: Option<SocketAddr>) {
    let mut stdout = io::stdout().lock();
    let announced = addresses
        .iter()
        .try_for_each(|addr| writeln!(stdout, "listening on {scheme}://{addr}"))
        .and_then(|()| match metrics {
            Some(addr) => writeln!(stdout, "metrics on http://{addr}/metrics"),
            None => Ok(()),
        })
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

fn runtime(error: impl Error) -> Failure {
    Failure::Runtime(error.to_string())
}
