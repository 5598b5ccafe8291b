//! Whether a command offers to compress.

use clap::Args;
#[cfg(feature = "deflate")]
use clap::builder::BoolishValueParser;
use switchboard::client::ClientConfig;

/// What is offered to the server besides plain messages: nothing in a build that cannot compress.
#[derive(Clone, Debug, Args)]
pub(super) struct CompressionFlag {
    /// Offer to compress messages both ways (permessage-deflate), where bytes are dear: switchboard tail --compression room;
    /// a server that does not compress takes and sends them plain
    #[cfg(feature = "deflate")]
    #[arg(long, value_parser = BoolishValueParser::new())]
    compression: bool,
}

impl CompressionFlag {
    /// Writes into `config` what is offered.
    pub(super) fn apply_to(&self, config: &mut ClientConfig) {
        #[cfg(feature = "deflate")]
        {
            config.offers_compression = self.compression;
        }
        #[cfg(not(feature = "deflate"))]
        let _ = config;
    }
}
