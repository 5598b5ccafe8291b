//! Where a load goes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::client::ClientError;
use crate::http::SocketUrl;

/// A server whose name was looked up, once for all connections.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    url: SocketUrl,
    address: SocketAddr,
}

impl LoadTarget {
    /// Looks up the server of `url`.
    ///
    /// # Errors
    ///
    /// Its name has no address.
    pub fn find(url: SocketUrl) -> Result<Self, ClientError> {
        let failure = |error| ClientError::Resolve(url.host().into(), error);
        let mut addresses = (url.host(), url.port())
            .to_socket_addrs()
            .map_err(failure)?;
        let address = addresses
            .next()
            .ok_or_else(|| failure(io::ErrorKind::NotFound.into()))?;
        Ok(Self { url, address })
    }

    /// Whether the server is on this machine, so that the load harms nobody else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// The address that all connections go to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is in words.
    #[must_use]
    pub fn url(&self) -> &SocketUrl {
        &self.url
    }
}
