//! The other end of a connection, in as few bytes as it takes.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// The other end of a connection. An `IPv4` address takes a quarter of what any address may, and most clients have one.
#[derive(Debug)]
pub(super) enum Remote {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl Remote {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::V4(address) => (*address).into(),
            Self::V6(address) => (**address).into(),
        }
    }
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address),
            SocketAddr::V6(address) => Self::V6(Box::new(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_survive() {
        for address in ["127.0.0.1:80", "[::1]:8080", "[fe80::1%3]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Remote::from(address).address(), address);
        }
    }
}
