//! Whether connections to the server are encrypted, and who it is then.

use std::path::PathBuf;

use clap::Args;
use switchboard::config::TlsFiles;

/// Where certificate and key are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Encryption")]
pub(super) struct Encryption {
    /// Serve https:// and wss:// alone on every --listen address, by this certificate: a file in PEM, with those behind it
    /// that lead to a known authority; read again on SIGHUP
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key to that certificate: a file in PEM, without a passphrase
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Encryption {
    /// The files, if connections are to be encrypted.
    pub(super) fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { certificate, key })
    }
}
