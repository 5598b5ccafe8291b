//! Why an encrypted connection cannot go on.

use std::fmt;
use std::io;

use rustls::{CertificateError, Error};

/// What the peer did that an encrypted connection cannot go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// It does not speak TLS.
    NotTls,
    /// It offers no version, cipher suite, key exchange or application protocol that we have.
    NothingInCommon,
    /// It refuses with this alert, most often because it does not trust our certificate (RFC 8446 6.2).
    Alert(u8),
    /// It has a certificate that we do not trust.
    Untrusted(CertificateFault),
    /// Its handshake is longer than any that is meant.
    HandshakeTooLong,
    /// It sends records with nothing in them.
    Idling,
    /// What it sends is malformed, damaged or out of order.
    Malformed,
}

/// Why the certificate of a server is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Nobody whom we trust has signed it.
    UnknownIssuer,
    /// It is for other names.
    WrongName,
    /// It is malformed, or not meant for servers.
    Unusable,
}

impl TlsFault {
    /// The fault behind an error of a [`Layer`](super::Layer), unless that is one of its carrier.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        inner.downcast_ref::<Self>().copied()
    }
}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

impl From<&Error> for TlsFault {
    fn from(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::NothingInCommon,
            Error::AlertReceived(alert) => Self::Alert((*alert).into()),
            Error::InvalidCertificate(error) => Self::Untrusted(error.into()),
            _ => Self::Malformed,
        }
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            // The other one has the name of somebody who is trusted, and not the key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            _ => Self::Unusable,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::NothingInCommon => f.write_str("no version or cipher of TLS in common"),
            Self::Alert(code) => write!(f, "refused with alert {code}{}", meaning_of(*code)),
            Self::Untrusted(fault) => write!(f, "{fault}"),
            Self::HandshakeTooLong => f.write_str("handshake too long"),
            Self::Idling => f.write_str("records with nothing in them"),
            Self::Malformed => f.write_str("malformed or damaged records"),
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::UnknownIssuer => "the certificate is signed by nobody who is trusted",
            Self::WrongName => "the certificate is for another name",
            Self::Unusable => "the certificate cannot be used",
        })
    }
}

impl std::error::Error for TlsFault {}

/// What those alerts say that are seen in practice (RFC 8446 6.2).
fn meaning_of(alert: u8) -> &'static str {
    match alert {
        40 => " (handshake failure)",
        42 => " (bad certificate)",
        45 => " (certificate expired)",
        46 => " (certificate unknown)",
        48 => " (unknown authority)",
        70 => " (protocol version)",
        _ => "",
    }
}
