//! The last bytes of a visit.

/// A Close frame with 1000 as it comes from a server.
pub(crate) const FAREWELL: [u8; 4] = [0x88, 2, 0x03, 0xe8];
/// The same from a client, masked.
pub(crate) const CLIENT_FAREWELL: [u8; 8] = [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2];
