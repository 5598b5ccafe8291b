//! `switchboard kick`: closes connections of others.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Deserialize;
use switchboard::client::{self, Called, ClientConfig};
use switchboard::http::{ServiceCall, SocketUrl};

use super::access_keys::AccessKeys;
use super::place::{self, DEFAULT_URL};
use super::quantity::Span;
#[cfg(feature = "tls")]
use super::trust::TrustFlags;
use super::{Failure, say};

/// Closes the connections of a user, of a group or of everyone, or one connection.
///
/// They may come back at once, unless their tokens have ended. Needs the access key of the server.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard kick --access-key-file key --user mallory --reason 'be nice'
  switchboard kick --access-key-file key --group room --url ws://127.0.0.1:8080/client/hubs/chat

Exit codes: 0 if somebody was there, 1 if nobody was or the server refuses it, 2 if the flags are wrong.")]
pub(super) struct Kick {
    #[command(flatten)]
    whom: Whom,

    /// What they are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Address of the hub that they are in
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,

    #[command(flatten)]
    keys: AccessKeys,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    trust: TrustFlags,

    /// Time for the connection and the answer
    #[arg(long, value_name = "TIME", default_value_t = ClientConfig::default().dial_timeout.into())]
    timeout: Span,
}

/// Whose connections are closed.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// All connections of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The connection with this id
    #[arg(long, value_name = "ID")]
    connection: Option<String>,

    /// All connections in this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// All connections of the hub
    #[arg(long, value_parser = BoolishValueParser::new())]
    all: bool,
}

/// Why the server did not do it.
#[derive(Deserialize)]
struct Complaint {
    code: String,
    message: String,
}

impl Kick {
    /// Closes them, and says how many they were.
    ///
    /// # Errors
    ///
    /// Nobody was there; or the server cannot be reached or refuses.
    pub(super) fn run(self) -> Result<(), Failure> {
        let base = place::service_base(&place::endpoint(&self.url)?)?;
        let (method, path) = self.whom.request();
        let url = SocketUrl::parse(&format!("{base}{path}"))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let audience = place::audience(&url);
        let url = match &self.reason {
            Some(reason) => url.with_query("reason", reason),
            None => url,
        };
        let timeout = self.timeout.duration();
        let claims = place::claims_from_now(audience, timeout.max(TOKEN_SPAN_MIN));
        let token = place::sign(&self.keys.signing()?, &claims)?;
        let request = ServiceCall::new(method, &url, &token)
            .ok_or_else(|| Failure::Usage("the request cannot be written".into()))?;
        let mut config = ClientConfig::default();
        config.dial_timeout = timeout;
        #[cfg(feature = "tls")]
        self.trust.apply_to(&mut config);
        let called = client::call(&url, &request, &config)
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        outcome(&called).map(|line| line.iter().for_each(|line| say(line)))
    }
}

/// Shortest time for which the token of a request counts: it is used at once.
const TOKEN_SPAN_MIN: Duration = Duration::from_secs(60);

impl Whom {
    /// The method, and the path below that of the hub.
    fn request(&self) -> (&'static str, String) {
        if let Some(id) = &self.connection {
            return ("DELETE", format!("/connections/{}", place::segment(id)));
        }
        let whose = match (&self.user, &self.group) {
            (Some(user), _) => format!("/users/{}", place::segment(user)),
            (None, Some(group)) => format!("/groups/{}", place::segment(group)),
            (None, None) => String::new(),
        };
        ("POST", format!("{whose}/:closeConnections"))
    }
}

/// What a person is told of an answer that is a success, if there is something to tell.
///
/// # Errors
///
/// It is none.
fn outcome(called: &Called) -> Result<Option<String>, Failure> {
    match (called.status, called.recipients) {
        (204, Some(0)) => Err(Failure::Runtime("nobody is there".into())),
        (204, Some(1)) => Ok(Some("closed 1 connection".into())),
        (204, Some(count)) => Ok(Some(format!("closed {count} connections"))),
        // Another server of this protocol, which does not count.
        (204, None) => Ok(None),
        (status, _) => Err(refused(status, &called.body)),
    }
}

/// What a person is told of an answer that is no success.
fn refused(status: u16, body: &str) -> Failure {
    Failure::Runtime(match serde_json::from_str(body) {
        Ok(Complaint { code, message }) => format!(
            "the server refuses with status {status}: {}: {}",
            code.escape_debug(),
            message.escape_debug()
        ),
        Err(_) => format!("the server refuses with status {status}"),
    })
}
