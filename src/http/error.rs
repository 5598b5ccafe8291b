//! What a client did that its request cannot be granted for, and the status that says so.

use std::fmt;

/// Why a request is refused: each variant names what the client did.
///
/// [`HttpError::status`] is the only place that maps to the wire; [`Response::refusal`](super::Response::refusal)
/// makes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpError {
    /// Plain HTTP came where TLS is spoken.
    NotEncrypted,
    /// A line ended in a line feed without a carriage return (RFC 9112 2.2).
    BareLineFeed,
    /// The first line is not `method SP target SP HTTP/d.d` (RFC 9112 3).
    MalformedRequestLine,
    /// The target is neither a path nor an http URI, or has a fragment or a character that no URI has (RFC 9112 3.2).
    MalformedTarget,
    /// A field line is folded, has blanks before its colon, no name, or a control character (RFC 9112 5.1, 5.2).
    MalformedField,
    /// A field that may come once came again (RFC 9110 5.3).
    RepeatedField,
    /// An HTTP/1.1 request has no Host (RFC 9112 3.2).
    MissingHost,
    /// The Host is not `host[:port]` (RFC 9110 7.2).
    MalformedHost,
    /// Content-Length is not one decimal number (RFC 9110 8.6).
    MalformedContentLength,
    /// Transfer-Encoding came with Content-Length, in HTTP/1.0, or without a coding (RFC 9112 6.1).
    AmbiguousBody,
    /// A request to upgrade has a body, whose bytes could be taken for frames (RFC 9110 7.8).
    BodyOnUpgrade,
    /// A `%` in the path is not followed by two hexadecimal digits, or the decoded path is not UTF-8 (RFC 3986 2.1).
    MalformedEscape,
    /// A parameter of the query is missing, malformed or out of range.
    BadParameter,
    /// The body is not what its media type says.
    MalformedBody,
    /// Sec-WebSocket-Version is missing or not a number from 0 to 255 (RFC 6455 11.3.5).
    MalformedVersion,
    /// Sec-WebSocket-Key is missing or not sixteen bytes in base64 (RFC 6455 4.2.1).
    MalformedKey,
    /// Sec-WebSocket-Protocol is not a list of tokens (RFC 6455 11.3.4).
    MalformedSubprotocols,
    /// Sec-WebSocket-Extensions is not a list of offers (RFC 6455 9.1).
    MalformedExtensions,
    /// The credential is missing or wrong (RFC 9110 15.5.2).
    BadCredential,
    /// The web page that connects comes from an origin that is not allowed (RFC 6455 10.2).
    OriginNotAllowed,
    /// The request is addressed to a host that this server does not answer to.
    HostNotAllowed,
    /// The credential is right but does not permit this (RFC 9110 15.5.4).
    NotEntitled,
    /// Nothing is at this path (RFC 9110 15.5.5).
    NotFound,
    /// The path does not offer this method (RFC 9110 15.5.6).
    MethodNotAllowed {
        /// The methods that it offers, as the value of the Allow field.
        allow: &'static str,
    },
    /// The request was not complete when its time was over (RFC 9110 15.5.9).
    RequestTimeout,
    /// The body is chunked; only bodies with a Content-Length are read (RFC 9110 15.5.12).
    ChunkedBody,
    /// The body is announced to be longer than allowed (RFC 9110 15.5.14).
    BodyTooLarge,
    /// The body is of no media type that is taken here (RFC 9110 15.5.16).
    UnsupportedMediaType,
    /// The target is longer than allowed (RFC 9110 15.5.15).
    TargetTooLong,
    /// Something other than `100-continue` is expected (RFC 9110 10.1.1).
    UnknownExpectation,
    /// The path is a WebSocket and the request does not ask to become one (RFC 6455 4.2.1).
    NotAnUpgrade,
    /// A WebSocket version other than 13 is asked for (RFC 6455 4.4).
    UnsupportedVersion,
    /// Too many attempts came from this client (RFC 6585 4).
    TooManyAttempts,
    /// The client has as many connections as it may (RFC 6585 4).
    TooManyConnections,
    /// More requests came than are carried out in a second (RFC 6585 4).
    TooManyRequests,
    /// The request head is longer than allowed (RFC 6585 5).
    HeadTooLarge,
    /// The request head has more fields than allowed (RFC 6585 5).
    TooManyFields,
    /// The body has a transfer coding that nobody here decodes (RFC 9112 6.1).
    UnknownTransferCoding,
    /// The request came when no more are taken: all places are taken, or the server is stopping (RFC 9110 15.6.4).
    Unavailable,
    /// The request would have something delivered while too much waits to be delivered already (RFC 9110 15.6.4).
    Overloaded,
    /// The request is of another major version than HTTP/1 (RFC 9110 15.6.6).
    UnsupportedHttpVersion,
}

impl HttpError {
    /// The status that answers it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotEncrypted
            | Self::BareLineFeed
            | Self::MalformedRequestLine
            | Self::MalformedTarget
            | Self::MalformedField
            | Self::RepeatedField
            | Self::MissingHost
            | Self::MalformedHost
            | Self::MalformedContentLength
            | Self::AmbiguousBody
            | Self::BodyOnUpgrade
            | Self::MalformedEscape
            | Self::BadParameter
            | Self::MalformedBody
            | Self::MalformedVersion
            | Self::MalformedKey
            | Self::MalformedSubprotocols
            | Self::MalformedExtensions => 400,
            Self::BadCredential => 401,
            Self::OriginNotAllowed | Self::HostNotAllowed | Self::NotEntitled => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout => 408,
            Self::ChunkedBody => 411,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnsupportedMediaType => 415,
            Self::UnknownExpectation => 417,
            Self::NotAnUpgrade | Self::UnsupportedVersion => 426,
            Self::TooManyAttempts | Self::TooManyConnections | Self::TooManyRequests => 429,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::UnknownTransferCoding => 501,
            Self::Unavailable | Self::Overloaded => 503,
            Self::UnsupportedHttpVersion => 505,
        }
    }

    /// Whether the connection has to end after the answer.
    ///
    /// It may go on only where the request was read in full and merely asked for the wrong thing; whoever refuses an
    /// upgrade ends the connection all the same, see [`Request::is_keep_alive`](super::Request::is_keep_alive).
    #[must_use]
    pub fn closes(self) -> bool {
        !matches!(
            self,
            Self::NotFound
                | Self::MethodNotAllowed { .. }
                | Self::BadParameter
                | Self::MalformedBody
                | Self::UnsupportedMediaType
                | Self::TooManyRequests
                | Self::Overloaded
        )
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEncrypted => "this address is encrypted: use https:// or wss://",
            Self::BareLineFeed => "a line ends without a carriage return",
            Self::MalformedRequestLine => "the request line is malformed",
            Self::MalformedTarget => "the request target is malformed",
            Self::MalformedField => "a header field is malformed",
            Self::RepeatedField => "a header field is repeated that may come once",
            Self::MissingHost => "the Host field is missing",
            Self::MalformedHost => "the Host field is malformed",
            Self::MalformedContentLength => "the Content-Length field is malformed",
            Self::AmbiguousBody => "the length of the body is ambiguous",
            Self::BodyOnUpgrade => "a request to upgrade has a body",
            Self::MalformedEscape => "the path has a malformed escape",
            Self::BadParameter => "a parameter of the query is missing, malformed or out of range",
            Self::MalformedBody => "the body is not what its media type says",
            Self::MalformedVersion => "the Sec-WebSocket-Version field is missing or malformed",
            Self::MalformedKey => "the Sec-WebSocket-Key field is missing or malformed",
            Self::MalformedSubprotocols => "the Sec-WebSocket-Protocol field is malformed",
            Self::MalformedExtensions => "the Sec-WebSocket-Extensions field is malformed",
            Self::BadCredential => "a valid credential is needed",
            Self::OriginNotAllowed => "the origin is not allowed",
            Self::HostNotAllowed => "the host is not served here",
            Self::NotEntitled => "the credential does not permit this",
            Self::NotFound => "nothing is here",
            Self::MethodNotAllowed { .. } => "the method is not offered here",
            Self::RequestTimeout => "the request took too long",
            Self::ChunkedBody => "a body needs a Content-Length",
            Self::BodyTooLarge => "the body is too large",
            Self::TargetTooLong => "the request target is too long",
            Self::UnsupportedMediaType => "the media type of the body is not taken here",
            Self::UnknownExpectation => "the expectation is not known",
            Self::NotAnUpgrade => "this is a WebSocket; ask to upgrade",
            Self::UnsupportedVersion => "only WebSocket version 13 is spoken here",
            Self::TooManyAttempts => "too many attempts; try again later",
            Self::TooManyConnections => "too many connections; try again later",
            Self::TooManyRequests => "too many requests; try again later",
            Self::HeadTooLarge => "the request head is too large",
            Self::TooManyFields => "the request has too many header fields",
            Self::UnknownTransferCoding => "the transfer coding is not known",
            Self::Unavailable => "no more connections are taken now; try again later",
            Self::Overloaded => "too much waits to be delivered; try again later",
            Self::UnsupportedHttpVersion => "only HTTP/1.1 is spoken here",
        })
    }
}

impl std::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{NetworkError, OpeningError, OriginEntryError, SocketUrlError};

    #[test]
    fn every_error_of_a_request_has_a_status_and_a_sentence() {
        for error in [
            HttpError::BareLineFeed,
            HttpError::MalformedRequestLine,
            HttpError::MalformedTarget,
            HttpError::MalformedField,
            HttpError::RepeatedField,
            HttpError::MissingHost,
            HttpError::MalformedHost,
            HttpError::MalformedContentLength,
            HttpError::AmbiguousBody,
            HttpError::BodyOnUpgrade,
            HttpError::MalformedEscape,
            HttpError::BadParameter,
            HttpError::MalformedBody,
            HttpError::MalformedVersion,
            HttpError::MalformedKey,
            HttpError::MalformedSubprotocols,
            HttpError::MalformedExtensions,
            HttpError::BadCredential,
            HttpError::OriginNotAllowed,
            HttpError::HostNotAllowed,
            HttpError::NotEntitled,
            HttpError::NotFound,
            HttpError::MethodNotAllowed { allow: "GET" },
            HttpError::RequestTimeout,
            HttpError::ChunkedBody,
            HttpError::BodyTooLarge,
            HttpError::TargetTooLong,
            HttpError::UnsupportedMediaType,
            HttpError::UnknownExpectation,
            HttpError::NotAnUpgrade,
            HttpError::UnsupportedVersion,
            HttpError::TooManyAttempts,
            HttpError::TooManyConnections,
            HttpError::TooManyRequests,
            HttpError::HeadTooLarge,
            HttpError::TooManyFields,
            HttpError::UnknownTransferCoding,
            HttpError::Unavailable,
            HttpError::UnsupportedHttpVersion,
        ] {
            assert!((400..=505).contains(&error.status()), "{error}");
            assert_is_sentence(error);
        }
    }

    #[test]
    fn every_other_error_has_a_sentence() {
        for error in [
            OpeningError::NotHttp,
            OpeningError::HeadTooLong,
            OpeningError::NotAnUpgrade,
            OpeningError::WrongAcceptKey,
            OpeningError::UnofferedSubprotocol,
            OpeningError::UnofferedExtension,
        ] {
            assert_is_sentence(error);
        }
        for error in [
            SocketUrlError::NoScheme,
            SocketUrlError::UnknownScheme,
            SocketUrlError::Fragment,
            SocketUrlError::UserInformation,
            SocketUrlError::MalformedAuthority,
            SocketUrlError::MalformedTarget,
        ] {
            assert_is_sentence(error);
        }
        for error in [NetworkError::Malformed, NetworkError::BitsBehindPrefix] {
            assert_is_sentence(error);
        }
        for error in [
            OriginEntryError::Malformed,
            OriginEntryError::MisplacedWildcard,
        ] {
            assert_is_sentence(error);
        }
    }

    /// Errors are told as parts of sentences: something is said, no full stop ends it.
    fn assert_is_sentence(error: impl std::error::Error) {
        let text = error.to_string();
        assert!(
            text.len() > 10 && !text.ends_with('.') && text.is_ascii(),
            "{text}"
        );
    }

    #[test]
    fn ht_05_only_a_wrong_path_or_method_leaves_the_connection_open() {
        assert!(!HttpError::NotFound.closes());
        assert!(!HttpError::MethodNotAllowed { allow: "GET" }.closes());
        for error in [
            HttpError::RequestTimeout,
            HttpError::HeadTooLarge,
            HttpError::BareLineFeed,
            HttpError::UnsupportedHttpVersion,
            HttpError::MissingHost,
            HttpError::AmbiguousBody,
            HttpError::Unavailable,
            HttpError::NotAnUpgrade,
            HttpError::BadCredential,
        ] {
            assert!(error.closes(), "{error}");
        }
    }
}
