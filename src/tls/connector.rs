//! The client's part: whom it trusts, and what it makes connections of.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, fs, io};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{APPLICATION_PROTOCOL, Layer};

/// Whom a client trusts to say who a server is; looked up once for all connections that a client makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Whom the system trusts.
    #[default]
    System,
    /// Only the certificates in this file, which is in PEM.
    File(PathBuf),
    /// Everyone: what is sent cannot be read on the way, but nobody knows who gets it. For tests.
    Anyone,
}

/// Why a client cannot know whom to trust.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in the file that could be trusted.
    NoCertificate(PathBuf),
    /// The system trusts nobody, or does not say whom.
    NobodyTrusted,
    /// The host is neither a name nor an address of which certificates speak.
    BadName(String),
}

/// Makes the client's end of encrypted connections to one host; cheap to clone. Whom to trust was found out once for all
/// of them, since the system may have hundreds of certificates.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Connector {
    /// Connections to `host`, as far as whom we trust says that it is that host. Each resumes what was agreed on in one
    /// before it.
    ///
    /// # Errors
    ///
    /// Nobody could be trusted, or nobody is called that.
    pub(crate) fn new(host: &str, trust: &Trust) -> Result<Self, TrustError> {
        let bad_name = |_| TrustError::BadName(host.into());
        let host = ServerName::try_from(host).map_err(bad_name)?.to_owned();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions");
        let mut config = match trust {
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Credulous(provider))),
            Trust::System => builder.with_root_certificates(roots_of_system()?),
            Trust::File(path) => builder.with_root_certificates(roots_of_file(path)?),
        }
        .with_no_client_auth();
        config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self {
            config: Arc::new(config),
            host,
        })
    }

    /// The same, but each connection begins as that of a client that was never there.
    pub(crate) fn without_resumption(mut self) -> Self {
        Arc::make_mut(&mut self.config).resumption = Resumption::disabled();
        self
    }

    /// A connection that carries nothing yet.
    pub(crate) fn connect(&self) -> Layer {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.host.clone());
        Layer::new(connection.expect("the settings are complete"))
    }
}

/// What is remembered of former connections: a server gives out two tickets for each, and one is used for the next.
const SESSIONS_MAX: usize = 8;

fn roots_of_system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::debug!("certificates of the system: {error}");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(TrustError::NobodyTrusted);
    }
    Ok(roots)
}

fn roots_of_file(path: &PathBuf) -> Result<RootCertStore, TrustError> {
    let pem = fs::read(path).map_err(|error| TrustError::Unreadable(path.clone(), error))?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(TrustError::NoCertificate(path.clone()));
    }
    Ok(roots)
}

/// Believes every certificate, though not that somebody has the key to it who has not.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::NoCertificate(path) => {
                write!(f, "{} has no certificate in PEM", path.display())
            }
            Self::NobodyTrusted => f.write_str("the system trusts no certificate"),
            Self::BadName(host) => write!(f, "no certificate can be for {host:?}"),
        }
    }
}

impl std::error::Error for TrustError {}
