//! The other end of a connection and the way that it came, in as few bytes as it takes.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::handler::Entrance;

/// The other end of a connection, and which of our addresses it came to. An `IPv4` address takes a quarter of what any
/// address may, and most clients have one.
#[derive(Clone, Debug)]
pub(super) enum Remote {
    V4(SocketAddrV4, Entrance),
    V6(Box<SocketAddrV6>, Entrance),
}

impl Remote {
    pub(super) fn new(address: SocketAddr, entrance: Entrance) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address, entrance),
            SocketAddr::V6(address) => Self::V6(Box::new(address), entrance),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::V4(address, _) => (*address).into(),
            Self::V6(address, _) => (**address).into(),
        }
    }

    pub(super) fn entrance(&self) -> Entrance {
        match *self {
            Self::V4(_, entrance) | Self::V6(_, entrance) => entrance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_survive_with_the_way_they_came() {
        for address in ["127.0.0.1:80", "[::1]:8080", "[fe80::1%3]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            for entrance in [Entrance::Public, Entrance::Metrics] {
                let remote = Remote::new(address, entrance);
                assert_eq!((remote.address(), remote.entrance()), (address, entrance));
            }
        }
    }
}
