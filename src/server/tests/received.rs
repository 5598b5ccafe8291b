//! What a server has sent to one peer, read as that peer would.

/// What one peer got, taken apart.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) statuses: Vec<u16>,
    /// Opcode bits and payload of each frame.
    pub(super) frames: Vec<(u8, Vec<u8>)>,
    /// Bytes of a response or frame that is not whole.
    pub(super) rest_len: usize,
}

impl Received {
    /// Panics if a server that speaks HTTP and WebSocket cannot have sent these bytes.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut received = Self::default();
        let mut rest = bytes;
        while received.statuses.last() != Some(&101) {
            let Some(len) = response_len(rest) else {
                received.rest_len = rest.len();
                return received;
            };
            let status = std::str::from_utf8(&rest[9..12]).unwrap().parse().unwrap();
            received.statuses.push(status);
            rest = &rest[len..];
        }
        while let Some((header_len, len)) = frame_lens(rest).filter(|(_, len)| *len <= rest.len()) {
            assert_eq!(
                rest[0] & 0xf0,
                0x80,
                "a frame of {} frames",
                received.frames.len()
            );
            received
                .frames
                .push((rest[0] & 0x0f, rest[header_len..len].to_vec()));
            rest = &rest[len..];
        }
        received.rest_len = rest.len();
        received
    }

    /// The payloads of messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = &str> {
        let messages = self.frames.iter().filter(|(opcode, _)| *opcode < 8);
        messages.map(|(_, payload)| std::str::from_utf8(payload).unwrap())
    }

    /// The codes of Close frames; 0 for one without a code.
    pub(super) fn close_codes(&self) -> Vec<u16> {
        let closes = self.frames.iter().filter(|(opcode, _)| *opcode == 8);
        let code = |payload: &[u8]| {
            payload
                .first_chunk()
                .map_or(0, |code| u16::from_be_bytes(*code))
        };
        closes.map(|(_, payload)| code(payload)).collect()
    }
}

/// The length of a whole response.
fn response_len(bytes: &[u8]) -> Option<usize> {
    let head_len = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_len]).unwrap();
    assert!(head.starts_with("HTTP/1.1 "), "{head:?}");
    let field = head.to_lowercase();
    let body_len = field.split("content-length: ").nth(1).map_or(0, |rest| {
        rest.split("\r\n").next().unwrap().parse().unwrap()
    });
    let len = head_len + body_len;
    (bytes.len() >= len).then_some(len)
}

/// The length of a frame's header and of the frame, if the header is there.
fn frame_lens(bytes: &[u8]) -> Option<(usize, usize)> {
    let [_, second, rest @ ..] = bytes else {
        return None;
    };
    match second {
        126 => {
            let len = u16::from_be_bytes(*rest.first_chunk()?);
            Some((4, 4 + usize::from(len)))
        }
        0..126 => Some((2, 2 + usize::from(*second))),
        _ => panic!("a mask, or a frame too long for these tests"),
    }
}
