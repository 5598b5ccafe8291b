//! Status codes and the payload of a Close frame.

use std::fmt;

use super::ProtocolError;

/// A status code that may appear on the wire (RFC 6455 7.4); no other number can be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: we shut down, or the peer has been silent for too long.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of framing.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that the endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: a message that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: the peer broke a rule of ours.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message over our limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: we failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: a planned restart; the peer may come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: overload; the peer may come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Judges a number that a peer sent: `None` for all that must not appear on the wire
    /// (RFC 6455 7.4.1, 7.4.2).
    ///
    /// Valid are 1000 to 1003, 1007 to 1014 (the last three from the IANA registry), and 3000 to
    /// 4999.
    pub const fn from_wire(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The payload of a Close frame that has one (RFC 6455 5.5.1).
///
/// | Bytes | Meaning |
/// |---|---|
/// | 0 and 1 | the status code, most significant byte first |
/// | 2 and on | the reason, UTF-8, at most 123 bytes |
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why the connection ends, for programs.
    pub code: CloseCode,
    /// Why the connection ends, for people who debug; often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason that fits into a control frame, in bytes.
    pub const REASON_LEN_MAX: usize = 123;

    /// The reason as far as it fits into a control frame, cut at the border of a character.
    #[must_use]
    #[expect(clippy::string_slice, reason = "cut at the border of a character")]
    pub fn short_reason(&self) -> &'a str {
        &self.reason[..self.reason.floor_char_boundary(Self::REASON_LEN_MAX)]
    }

    /// Parses the payload of a Close frame; `None` if it is empty: no code and no reason.
    ///
    /// # Errors
    ///
    /// [`TruncatedCloseCode`](ProtocolError::TruncatedCloseCode) for a payload of one byte,
    /// [`InvalidCloseCode`](ProtocolError::InvalidCloseCode) for a code that must not appear on the
    /// wire, [`InvalidUtf8`](ProtocolError::InvalidUtf8) for a reason that is not text; the code is
    /// judged first.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError::TruncatedCloseCode)
            };
        };
        let code = CloseCode::from_wire(u16::from_be_bytes(*code))
            .ok_or(ProtocolError::InvalidCloseCode)?;
        let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }
}

/// Shows the reason by its length: it is the peer's text.
impl fmt::Debug for CloseFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.code, self.reason.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The valid codes, written down a second time and in another form.
    fn is_valid_on_the_wire(code: u16) -> bool {
        let registered = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
        ];
        registered.contains(&code) || matches!(code / 1000, 3 | 4)
    }

    #[test]
    fn cl_02_all_codes_are_judged_as_the_table_says() {
        for code in 0..=u16::MAX {
            let judged = CloseCode::from_wire(code).map(CloseCode::get);
            assert_eq!(judged, is_valid_on_the_wire(code).then_some(code));

            let parsed = CloseFrame::parse(&code.to_be_bytes())
                .map(|close| close.map(|close| close.code.get()));
            let expected = if is_valid_on_the_wire(code) {
                Ok(Some(code))
            } else {
                Err(ProtocolError::InvalidCloseCode)
            };
            assert_eq!(parsed, expected);
        }
    }

    #[test]
    fn cl_02_payloads_of_a_close_are_judged() {
        type Parsed = Result<Option<CloseFrame<'static>>, ProtocolError>;
        let normal = |reason| {
            Ok(Some(CloseFrame {
                code: CloseCode::NORMAL,
                reason,
            }))
        };
        let rows: &[(&[u8], Parsed)] = &[
            (b"", Ok(None)),
            (b"\x03", Err(ProtocolError::TruncatedCloseCode)),
            (b"\x03\xE8", normal("")),
            (b"\x03\xE8bye", normal("bye")),
            (b"\x03\xE8\xC3\xA9", normal("é")),
            (b"\x03\xE8\xC3", Err(ProtocolError::InvalidUtf8)),
            (b"\x03\xE8\xED\xA0\x80", Err(ProtocolError::InvalidUtf8)),
            (b"\x03\xED\xFF", Err(ProtocolError::InvalidCloseCode)),
        ];
        for (payload, expected) in rows {
            assert_eq!(CloseFrame::parse(payload), *expected, "{payload:02x?}");
        }
        assert_eq!(
            ProtocolError::TruncatedCloseCode.close_code(),
            CloseCode::PROTOCOL_ERROR
        );
        assert_eq!(
            ProtocolError::InvalidCloseCode.close_code(),
            CloseCode::PROTOCOL_ERROR
        );
        assert_eq!(
            ProtocolError::InvalidUtf8.close_code(),
            CloseCode::INVALID_PAYLOAD
        );
    }
}
