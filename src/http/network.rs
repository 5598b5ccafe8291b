//! Addresses of clients, and networks of them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Who counts as one client: an `IPv4` address, or a network of `IPv6` of 64 bits, which is what one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(u128);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        let bits = bits_of(address);
        let is_ipv4 = Ipv6Addr::from_bits(bits).to_ipv4_mapped().is_some();
        Self(if is_ipv4 { bits } else { bits >> 64 << 64 })
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(address) => address.fmt(f),
            None => write!(f, "{address}/64"),
        }
    }
}

/// A network as in `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address that all others begin like; `IPv4` in the form that `IPv6` has for it.
    first: u128,
    /// How many bits that is, of 128.
    prefix_len: u32,
}

impl Network {
    /// Whether `address` is in it. An `IPv4` address is the same in both forms.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        (bits_of(address) ^ self.first) & mask(self.prefix_len) == 0
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "judged before: no length is greater than that of an address"
    )]
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let (outside, len_max) = match address {
            IpAddr::V4(_) => (96, 32),
            IpAddr::V6(_) => (0, 128),
        };
        let len = match len {
            None => len_max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::Malformed)?
            }
            Some(_) => return Err(NetworkError::Malformed),
        };
        if len > len_max {
            return Err(NetworkError::Malformed);
        }
        let (first, prefix_len) = (bits_of(address), outside + len);
        if first & !mask(prefix_len) != 0 {
            return Err(NetworkError::BitsBehindPrefix);
        }
        Ok(Self { first, prefix_len })
    }
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is not an address and perhaps the length of a prefix.
    Malformed,
    /// The address has bits behind its prefix: a network begins with zeros there.
    BitsBehindPrefix,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a network is written like 10.0.0.0/8, 2001:db8::/32 or 127.0.0.1",
            Self::BitsBehindPrefix => "the address has bits behind its prefix",
        })
    }
}

impl std::error::Error for NetworkError {}

/// Both kinds of addresses as one.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first `len` of 128 bits.
#[expect(clippy::arithmetic_side_effects, reason = "at most 128 bits")]
fn mask(len: u32) -> u128 {
    u128::MAX.checked_shl(128 - len).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, NetworkError> {
        text.parse()
    }

    #[test]
    fn lt_07_a_network_contains_what_begins_like_it() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.168.1.128/25", "192.168.1.128", "192.168.1.127"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::1", "::1", "::2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "1.2.3.4", "no address"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            if let Ok(outside) = outside.parse() {
                assert!(!network.contains(outside), "{text} {outside}");
            }
        }
    }

    #[test]
    fn lt_07_what_is_no_network_is_refused() {
        use NetworkError::{BitsBehindPrefix, Malformed};
        for (text, error) in [
            ("", Malformed),
            ("localhost", Malformed),
            ("10.0.0.0/", Malformed),
            ("10.0.0.0/+8", Malformed),
            ("10.0.0.0/33", Malformed),
            ("10.0.0.0/4294967304", Malformed),
            ("::/129", Malformed),
            ("[::1]", Malformed),
            ("10.0.0.0/8/8", Malformed),
            ("10.0.0.1/8", BitsBehindPrefix),
            ("::1/127", BitsBehindPrefix),
        ] {
            assert_eq!(network(text), Err(error), "{text}");
        }
    }

    #[test]
    fn lt_07_clients_of_ipv6_count_by_their_first_64_bits() {
        let client = |text: &str| ClientAddress::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
        assert_eq!(client("::ffff:10.0.0.1").to_string(), "10.0.0.1");
        assert_eq!(client("2001:db8::1").to_string(), "2001:db8::/64");
    }
}
