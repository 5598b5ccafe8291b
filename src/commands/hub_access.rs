//! How the commands that talk to a hub find it and get in.

use clap::Args;
use switchboard::client::hub::{HubClient, HubConfig, HubError};
use switchboard::client::{ClientConfig, ClientError};
use switchboard::http::SocketUrl;
use switchboard::proto::CloseCode;

use super::Failure;
use super::quantity::Span;

/// Where a hub is, and who wants in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct HubAccess {
    /// Address of the hub; a token may be part of it
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080/ws")]
    url: String,

    /// Name to be known by, where no token says it
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    /// Token to get in with; other users of this machine can read it here, so prefer the environment variable
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// Time for the connection, and for the answer to each request
    #[arg(long, value_name = "TIME", default_value_t = ClientConfig::default().dial_timeout.into())]
    timeout: Span,
}

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
        let mut url = SocketUrl::parse(&self.url).map_err(|error| {
            Failure::Usage(format!("the address {:?}: {error}", shown(&self.url)))
        })?;
        if let Some(name) = &self.name {
            url = url.with_query("userId", name);
        }
        let mut config = HubConfig::default();
        config.client.dial_timeout = self.timeout.duration();
        config.request_timeout = self.timeout.duration();
        if let Some(token) = &self.token {
            let field = ("Authorization".into(), format!("Bearer {token}"));
            config.client.fields.push(field);
        }
        if when_lost == WhenLost::Fail {
            config.give_up_after = std::time::Duration::ZERO;
        }
        HubClient::connect_url(url, config).map_err(|error| failure(&error))
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

/// A URL without its query, which may hold a token.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}
