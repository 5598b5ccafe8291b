//! Whom the commands that connect trust to say who the server is.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use switchboard::client::{ClientConfig, Trust};

/// What is asked of the certificate of a server.
#[derive(Clone, Debug, Args)]
pub(super) struct TrustFlags {
    /// File in PEM with the certificates to trust for wss:// and https://, in place of those of the system
    #[arg(long, value_name = "PATH")]
    ca: Option<PathBuf>,

    /// Connect to whoever answers, without a look at its certificate; for tests
    #[arg(long, conflicts_with = "ca", value_parser = BoolishValueParser::new())]
    insecure: bool,
}

impl TrustFlags {
    /// Writes into `config` whom to trust.
    pub(super) fn apply_to(&self, config: &mut ClientConfig) {
        if self.insecure {
            log::warn!(
                "--insecure: whoever answers is believed to be the server, and gets all that is sent"
            );
            config.trust = Trust::Anyone;
        } else if let Some(path) = &self.ca {
            config.trust = Trust::File(path.clone());
        }
    }
}
