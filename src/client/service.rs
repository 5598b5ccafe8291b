//! What a service asks of a server over HTTP, one request at a time.

use super::dial::Deadline;
use super::stream::Streams;
use super::{ClientConfig, ClientError};
use crate::http::{ServiceAnswer, ServiceCall, SocketUrl};

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Whether it was done (RFC 9110 15).
    pub status: u16,
    /// How many connections it was about, if the server says so.
    pub recipients: Option<u64>,
    /// The beginning of the body, as far as it could be read; it often says why something was not done.
    pub body: String,
}

/// Makes one request to the server of `url` and waits for the answer, no longer than `dial_timeout`.
///
/// # Errors
///
/// The server cannot be reached, does not answer in time or not in HTTP.
pub fn call(
    url: &SocketUrl,
    request: &ServiceCall,
    config: &ClientConfig,
) -> Result<Called, ClientError> {
    let (deadline, mut stream) = Deadline::connect(url, config, &Streams::to(url, config)?)?;
    deadline.write(&mut stream, request.as_bytes())?;
    let mut input = Vec::new();
    let answer = loop {
        if let Some(answer) = ServiceAnswer::parse(&input).map_err(ClientError::Opening)? {
            break answer;
        }
        if deadline.read_more(&mut stream, &mut input)? == 0 {
            return Err(ClientError::Lost);
        }
    };
    input.drain(..answer.head_len);
    Ok(Called {
        status: answer.status,
        recipients: answer.recipients,
        body: deadline.read_reason(&mut stream, &mut input, answer.body),
    })
}
