//! The server's part: who it is, and what it makes connections of.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::{Error, InconsistentKeys, ServerConfig, ServerConnection};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{APPLICATION_PROTOCOL, Layer};

/// Makes the server's end of encrypted connections, all with the same certificate; cheap to clone.
#[derive(Clone)]
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
}

/// Why a certificate and its key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is no certificate in the file.
    NoCertificate,
    /// What should be certificates is none.
    MalformedCertificate,
    /// There is no key in the file, or one with a passphrase.
    NoKey,
    /// The key is malformed or of a kind that is not supported.
    UnusableKey,
    /// The key belongs to another certificate.
    WrongKey,
}

impl CertificateError {
    /// Whether it is about the key.
    pub(crate) fn is_of_key(self) -> bool {
        matches!(self, Self::NoKey | Self::UnusableKey | Self::WrongKey)
    }
}

impl Acceptor {
    /// The server is whom a chain of certificates says, its own first, and has the key to it; both in PEM.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CertificateError::MalformedCertificate)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey,
            _ => CertificateError::UnusableKey,
        })?;
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    CertificateError::WrongKey
                }
                Error::InvalidCertificate(_) => CertificateError::MalformedCertificate,
                _ => CertificateError::UnusableKey,
            })?;
        config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
        // Whoever comes back brings along what is to be known, encrypted with a key that changes.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().expect("the system has a source of random numbers");
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// A connection that has just been accepted.
    pub(crate) fn accept(&self) -> Layer {
        let connection = ServerConnection::new(Arc::clone(&self.config));
        Layer::new(connection.expect("the settings are complete"))
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "there is no certificate in PEM in it",
            Self::MalformedCertificate => "the certificate is malformed",
            Self::NoKey => "there is no private key in PEM in it, or it has a passphrase",
            Self::UnusableKey => "the key is malformed or of a kind that is not supported",
            Self::WrongKey => "the key does not belong to the certificate",
        })
    }
}

impl std::error::Error for CertificateError {}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}
