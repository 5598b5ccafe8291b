//! How the commands that talk to a hub find it and get in.

use std::time::Duration;

use clap::Args;
use switchboard::client::hub::{HubClient, HubConfig, HubError};
use switchboard::client::{ClientConfig, ClientError};
use switchboard::http::SocketUrl;
use switchboard::proto::CloseCode;

use super::Failure;
use super::access_keys::AccessKeys;
use super::compression::CompressionFlag;
use super::place::{self, DEFAULT_URL};
use super::quantity::Span;
#[cfg(feature = "tls")]
use super::trust::TrustFlags;

/// Where a hub is, and who wants in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct HubAccess {
    /// Address of the hub; a token may be part of it
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,

    /// Name to be known by, where no token says it
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    terms: Terms,
}

/// What every connection to a server takes, whatever is spoken on it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Terms {
    /// Token to get in with; other users of this machine can read it here, so prefer the environment variable
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    #[command(flatten)]
    keys: AccessKeys,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    trust: TrustFlags,

    #[command(flatten)]
    compression: CompressionFlag,

    /// Time for the connection, and for the answer to each request
    #[arg(long, value_name = "TIME", default_value_t = ClientConfig::default().dial_timeout.into())]
    timeout: Span,
}

/// For how long a token counts that a command makes for itself. A connection that stands may stay, and one that breaks
/// within that time is made again with the same token.
const OWN_TOKEN_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// What becomes of a connection that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenLost {
    /// The command fails.
    Fail,
    /// It is tried again for a while.
    ComeBack,
}

impl HubAccess {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The flags cannot be used, or the hub does not let us in.
    pub(super) fn connect(&self, when_lost: WhenLost) -> Result<HubClient, Failure> {
        let url = place::endpoint(&self.url)?;
        let name = self.name.as_deref();
        let config = self.terms.hub_config(&url, name, when_lost)?;
        HubClient::connect_url(named(url, name), config).map_err(|error| failure(&error))
    }
}

impl Terms {
    /// How a connection to `url` is made, under this name if we make the token.
    ///
    /// # Errors
    ///
    /// There is no token where there should be one.
    pub(super) fn client_config(
        &self,
        url: &SocketUrl,
        name: Option<&str>,
    ) -> Result<ClientConfig, Failure> {
        let mut config = ClientConfig::default();
        #[cfg(feature = "tls")]
        self.trust.apply_to(&mut config);
        self.compression.apply_to(&mut config);
        config.dial_timeout = self.timeout.duration();
        if let Some(token) = self.token(url, name)? {
            let field = ("Authorization".into(), format!("Bearer {token}"));
            config.fields.push(field);
        }
        Ok(config)
    }

    /// The same for one to a hub.
    ///
    /// # Errors
    ///
    /// As [`Terms::client_config`].
    pub(super) fn hub_config(
        &self,
        url: &SocketUrl,
        name: Option<&str>,
        when_lost: WhenLost,
    ) -> Result<HubConfig, Failure> {
        let mut config = HubConfig::default();
        config.client = self.client_config(url, name)?;
        config.request_timeout = self.timeout.duration();
        if when_lost == WhenLost::Fail {
            config.give_up_after = Duration::ZERO;
        }
        Ok(config)
    }

    /// The token to show at `url`, if any: the one that was given, or one that the access key makes.
    fn token(&self, url: &SocketUrl, name: Option<&str>) -> Result<Option<String>, Failure> {
        if self.token.is_some() || !self.keys.are_given() {
            return Ok(self.token.clone());
        }
        let mut claims = place::claims_from_now(place::audience(url), OWN_TOKEN_SPAN);
        claims.user = name.map(Into::into);
        let every = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
        claims.roles = every.map(|role| role.parse().expect("a role")).to_vec();
        place::sign(&self.keys.signing()?, &claims).map(Some)
    }
}

/// The URL at which a hub knows us by a name, if no token says another.
pub(super) fn named(url: SocketUrl, name: Option<&str>) -> SocketUrl {
    match name {
        Some(name) => url.with_query("userId", name),
        None => url,
    }
}

/// Closes the connection properly, so that the server does not wait for us to come back.
pub(super) fn part(mut hub: HubClient) {
    hub.close(CloseCode::NORMAL, "");
    // An error is an end, too.
    while let Ok(Some(_)) = hub.next_event(None) {}
}

/// What a person is told about an error of the hub.
pub(super) fn failure(error: &HubError) -> Failure {
    match error {
        HubError::Client(ClientError::Field(_)) => {
            Failure::Usage("the token cannot be sent: it has a control character".into())
        }
        _ => Failure::Runtime(error.to_string()),
    }
}
