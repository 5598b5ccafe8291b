//! A client of the JSON protocol: groups, acknowledged requests, and a connection that comes back.
//!
//! [`HubClient`] keeps one connection to a hub. When it breaks, the client comes back after a random time that grows with
//! every try, goes on where it was if the server still knows it, and says so if it does not: then what was sent meanwhile
//! is missing ([`HubEvent::Connected`]), its groups are joined again, and a request whose answer was lost is either
//! repeated with the same number, which the server carries out once, or reported as [`RequestError::Uncertain`].
//!
//! ```no_run
//! use switchboard::client::hub::{HubClient, HubConfig, HubEvent};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut hub = HubClient::connect("ws://127.0.0.1:8080/ws?userId=alice", HubConfig::default())?;
//! hub.join("room")?;
//! hub.send_text("room", "hello")?;
//! while let Some(event) = hub.next_event(None)? {
//!     if let HubEvent::Message(message) = event {
//!         println!("{:?}: {}", message.from_user, message.payload);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod comeback;
mod connection;
mod ledger;
mod sender;
mod wire;

use std::fmt;
use std::time::Duration;

pub use self::connection::HubClient;
pub use self::sender::HubSender;
use super::{ClientConfig, ClientError, Ending};

/// How a client of a hub connects and comes back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// How each connection is made. The subprotocols are set by the client of the hub.
    pub client: ClientConfig,
    /// For the answer to a request. Default: 30 s.
    pub request_timeout: Duration,
    /// Bound of the first wait before a new connection is tried, which doubles with every try. Default: 250 ms.
    pub retry_wait_first: Duration,
    /// Bound of every wait. Default: 15 s.
    pub retry_wait_max: Duration,
    /// How long after a loss to go on trying; zero to not try at all. Default: 2 min.
    pub give_up_after: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            request_timeout: Duration::from_secs(30),
            retry_wait_first: Duration::from_millis(250),
            retry_wait_max: Duration::from_secs(15),
            give_up_after: Duration::from_secs(120),
        }
    }
}

/// What can be asked of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To be a member of a group.
    Join {
        /// The group.
        group: String,
        /// To be told who is there, and who comes and goes.
        presence: bool,
        /// To be told what was said before, as far as the server keeps it.
        history: bool,
    },
    /// To be a member of a group no longer.
    Leave {
        /// The group.
        group: String,
    },
    /// To tell something to a group; `@all`, `@user/NAME` and `@conn/ID` are addresses.
    Send {
        /// The group or address.
        group: String,
        /// What is told.
        payload: Payload,
        /// Whether this client is left out.
        no_echo: bool,
    },
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A text.
    Text(String),
    /// A JSON value, as it is written.
    Json(String),
    /// Any bytes.
    Binary(Vec<u8>),
}

/// A message of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubMessage {
    /// The group or address that it was sent to; `None` if the service sent it to this client alone or to everyone.
    pub group: Option<String>,
    /// Who sent it, if that is known.
    pub from_user: Option<String>,
    /// What it says.
    pub payload: Payload,
    /// Whether it was sent before the group was joined.
    pub is_history: bool,
}

/// Who came to a group and who left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The group.
    pub group: String,
    /// Whether this tells who was there already.
    pub is_initial: bool,
    /// Whether others who were there already follow with the next one.
    pub has_more: bool,
    /// Users who are there now.
    pub joined: Vec<String>,
    /// Users who are not there any more.
    pub left: Vec<String>,
}

/// What happens to the client of a hub.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum HubEvent {
    /// The connection stands.
    Connected {
        /// Its id, by which `@conn/ID` reaches it.
        connection_id: String,
        /// The name of the user, if there is one.
        user_id: Option<String>,
        /// Whether it goes on with the one before, so that nothing is missing.
        is_recovered: bool,
    },
    /// A message.
    Message(HubMessage),
    /// A request is answered.
    Done(Answer),
    /// Somebody came or left.
    Presence(Presence),
    /// Messages to this client were dropped here, because it did not take them fast enough.
    Gap {
        /// Of which group they were.
        group: Option<String>,
        /// How many are missing.
        dropped: u64,
    },
    /// The server says why it is about to close the connection.
    Farewell(String),
    /// The connection is lost, for this reason in words; the next one is tried after the wait.
    Lost(String, Duration),
    /// The connection was closed for good, by either side.
    Closed(Ending),
    /// Another thread wants the attention of the one that waits, see [`HubSender::nudge`].
    Nudged,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number that [`HubClient::submit`] gave to it.
    pub ack_id: u64,
    /// The request.
    pub request: Request,
    /// Whether it was carried out.
    pub outcome: Result<Delivered, RequestError>,
}

/// What became of a request that was carried out; `None` where the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// To how many a message was delivered.
    pub recipients: Option<u64>,
    /// How many lost it because they are too slow.
    pub dropped: Option<u64>,
}

/// Why the server does not carry a request out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A name for programs: `Forbidden`, `NotFound`, `BadRequest` …
    pub name: String,
    /// A text for people.
    pub message: String,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The server says no.
    Refused(Refusal),
    /// The connection was lost before the answer came, and the server does not know it any more: the message may have
    /// been delivered or not.
    Uncertain,
    /// The payload is said to be JSON and is not.
    NotJson,
}

/// Why a client of a hub cannot go on, or a request of it failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubError {
    /// The connection cannot be made, or not again.
    Client(ClientError),
    /// The request was not carried out.
    Request(RequestError),
    /// The server has not answered the request in time.
    RequestTimeout,
    /// The server does not speak the JSON protocol.
    NotAHub,
    /// The connection is closed.
    Closed,
    /// The server has closed the connection for good, and does not say what became of the request.
    ClosedByServer(Ending),
}

impl Request {
    /// The group or address that it is about.
    fn group(&self) -> &str {
        match self {
            Self::Join { group, .. } | Self::Leave { group } | Self::Send { group, .. } => group,
        }
    }
}

/// Texts and JSON as they are, binary payloads by their length.
impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Binary(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.name.escape_debug(),
            self.message.escape_debug()
        )
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Uncertain => f.write_str("the connection was lost before the answer came"),
            Self::NotJson => f.write_str("the payload is not JSON"),
        }
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "{error}"),
            Self::Request(error) => write!(f, "{error}"),
            Self::RequestTimeout => f.write_str("the server does not answer the request in time"),
            Self::NotAHub => f.write_str("the server does not speak the JSON protocol here"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::ClosedByServer(ending) => write!(f, "closed by the server: {ending}"),
        }
    }
}

impl std::error::Error for HubError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            Self::Request(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ClientError> for HubError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<RequestError> for HubError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}
