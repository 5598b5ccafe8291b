//! One end of an encrypted connection.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};

use rustls::Connection;

use super::TlsFault;
use super::carrier::{Sink, Watch};

/// Bytes that are encrypted before the carrier has to take them: five records, in one call. So the header of a message
/// of 64 KiB does not make it two.
const UNSENT_BYTES_MAX: usize = 80 << 10;
/// Bytes of a client's part of a handshake, which has about a thousand. Until it is over they are kept.
const CLIENT_HANDSHAKE_BYTES_MAX: u32 = 16 << 10;
/// Bytes of a server's part, in which certificates are.
const SERVER_HANDSHAKE_BYTES_MAX: u32 = 256 << 10;
/// The longest record, and what belongs to it (RFC 8446 5.2): as much may come out of bytes that came earlier.
const LEFT_OVER_BYTES_MAX: usize = 20 << 10;
/// Records without content, of this many bytes in a row, are nothing that anybody means.
const EMPTY_BYTES_MAX: usize = 64 << 10;

/// The state of one encrypted connection, between a session and the carrier of its bytes.
///
/// Whoever uses it on a carrier that tells of changes only must know:
///
/// - [`Layer::read`] brings less than it could only if the carrier had nothing more, or if [`Layer::has_unread`].
/// - What [`Layer::write_vectored`] has taken may be on its way until [`Layer::flush`] says that it is not.
pub(crate) struct Layer {
    connection: Connection,
    /// What ends the connection; told when everything before it was read.
    fault: Option<TlsFault>,
    progress: Progress,
    end: End,
    /// Whether the carrier had nothing more when it was read last.
    is_drained: bool,
    /// Whether the carrier has failed, so that nothing more comes and nothing can be said.
    is_dead: bool,
    /// Whether the carrier has taken something, which nobody has asked for yet.
    has_moved: bool,
    /// About how many bytes came of a handshake, or of a record, that is not whole.
    unread_len: u32,
    /// About how many bytes were taken that the carrier does not have.
    unsent_len: u32,
    /// Bytes read from the carrier that nobody has asked for yet.
    carried_len: usize,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing has come.
    Fresh,
    Handshaking,
    /// The handshake is over, which nobody has asked for yet.
    Established,
    Told,
}

/// How far the end of our side has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The last record is there, and behind it the carrier is to be ended.
    Announced,
    Done,
}

impl Layer {
    pub(super) fn new(connection: impl Into<Connection>) -> Self {
        let mut connection = connection.into();
        connection.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        Self {
            connection,
            fault: None,
            progress: Progress::Fresh,
            end: End::Open,
            is_drained: true,
            is_dead: false,
            has_moved: false,
            unread_len: 0,
            unsent_len: 0,
            carried_len: 0,
        }
    }

    /// Reads what the peer has said. `scratch` is room for bytes that are to be decrypted: the more, the fewer calls.
    /// `Ok(0)` is the end of the peer's side, whether it was announced or not; what is said inside has an end of its own.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing has come; a [`TlsFault`]; whatever the carrier says.
    pub(crate) fn read(
        &mut self,
        carrier: &mut (impl Read + Write),
        buffer: &mut [u8],
        scratch: &mut [u8],
    ) -> io::Result<usize> {
        let carried_before = self.carried_len;
        let mut len = 0;
        loop {
            len += self.take_decrypted(&mut buffer[len..]);
            if len == buffer.len() {
                return Ok(len);
            }
            if let Some(end) = self.end_of_input() {
                return if len > 0 { Ok(len) } else { end };
            }
            match self.pull(carrier, &mut buffer[len..], scratch) {
                Ok(decrypted_len) => len += decrypted_len,
                Err(error) => {
                    self.is_dead |= is_final(&error);
                    self.is_drained = error.kind() == ErrorKind::WouldBlock;
                    return if len > 0 { Ok(len) } else { Err(error) };
                }
            }
            let carried_len = self.carried_len - carried_before;
            if len > 0 && (self.is_drained || carried_len >= buffer.len()) {
                return Ok(len);
            }
            if len == 0 && carried_len > EMPTY_BYTES_MAX.max(buffer.len()) {
                self.fault = Some(TlsFault::Idling);
            }
        }
    }

    /// Reads from the carrier once, which may block.
    ///
    /// # Errors
    ///
    /// `Interrupted` if that brought nothing to read; otherwise as [`Layer::read`].
    pub(crate) fn read_once(
        &mut self,
        carrier: &mut (impl Read + Write),
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut len = self.take_decrypted(buffer);
        if len == 0 && self.end_of_input().is_none() {
            len = self.pull(carrier, buffer, &mut [])?;
        }
        match self.end_of_input() {
            Some(end) if len == 0 => end,
            None if len == 0 => Err(ErrorKind::Interrupted.into()),
            _ => Ok(len),
        }
    }

    /// Goes one step further in the handshake, which may block; whether it is over.
    ///
    /// # Errors
    ///
    /// A [`TlsFault`]; the end of the stream as `UnexpectedEof`; whatever the carrier says.
    pub(crate) fn advance(&mut self, carrier: &mut (impl Read + Write)) -> io::Result<bool> {
        self.push(carrier)?;
        if self.connection.is_handshaking() {
            self.pull(carrier, &mut [], &mut [])?;
            self.push(carrier)?;
        }
        match self.end_of_input() {
            Some(Ok(_)) => Err(ErrorKind::UnexpectedEof.into()),
            Some(Err(fault)) => Err(fault),
            None => Ok(!self.connection.is_handshaking()),
        }
    }

    /// Whether [`Layer::read`] has something to tell of which the carrier knows nothing.
    pub(crate) fn has_unread(&mut self) -> bool {
        !self.is_drained
            || self.end_of_input().is_some()
            || self.connection.reader().fill_buf().is_ok()
    }

    /// Takes what is to be sent, or part of it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` as long as the carrier has not taken what was taken before; whatever the carrier says.
    pub(crate) fn write_vectored(
        &mut self,
        carrier: &mut (impl Read + Write),
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.push(carrier)?;
        let len = self.connection.writer().write_vectored(slices)?;
        self.unsent_len = u32::try_from(len).unwrap_or(u32::MAX);
        match self.push(carrier) {
            Err(error) if is_final(&error) => Err(error),
            _ => Ok(len),
        }
    }

    /// Has the carrier take what it has not taken yet. Returns whether that was the last of it, so that our side of the
    /// carrier is to be ended; says so once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it does not; whatever the carrier says.
    pub(crate) fn flush(&mut self, carrier: &mut (impl Read + Write)) -> io::Result<bool> {
        self.push(carrier)?;
        let is_last = self.end == End::Announced;
        if is_last {
            self.end = End::Done;
        }
        Ok(is_last)
    }

    /// Ends our side of the stream behind what was taken; [`Layer::flush`] tells the peer (RFC 8446 6.1).
    pub(crate) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Announced;
            self.connection.send_close_notify();
        }
    }

    /// Tells the peer of the end if that is possible at once: the carrier is about to be dropped.
    pub(crate) fn part(&mut self, carrier: &mut (impl Read + Write)) {
        let is_known = self.progress != Progress::Fresh;
        if is_known && self.end == End::Open && self.fault.is_none() && !self.is_dead {
            self.end = End::Done;
            self.connection.send_close_notify();
            // Whoever takes nothing learns it from the end of the stream.
            let _ = self.push(carrier);
        }
    }

    /// Whether the handshake was completed since the last time that this was asked.
    pub(crate) fn take_established(&mut self) -> bool {
        let is_new = self.progress == Progress::Established;
        if is_new {
            self.progress = Progress::Told;
        }
        is_new
    }

    /// How many bytes were read from the carrier since the last time that this was asked.
    pub(crate) fn take_carried_len(&mut self) -> usize {
        std::mem::take(&mut self.carried_len)
    }

    /// Whether the carrier has not taken all that was taken.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the carrier took anything since the last time that this was asked.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// About how many bytes are kept: of what came and is not whole, and of what the carrier has not taken.
    pub(crate) fn held_len(&self) -> usize {
        self.unread_len as usize + self.unsent_len as usize
    }

    /// How the two ends came to agree, once they have.
    #[cfg(test)]
    pub(super) fn handshake_kind(&self) -> Option<rustls::HandshakeKind> {
        self.connection.handshake_kind()
    }

    fn take_decrypted(&mut self, buffer: &mut [u8]) -> usize {
        // Without bytes it says why there are none, which is asked for elsewhere.
        let len = self.connection.reader().read(buffer).unwrap_or(0);
        if len > 0 {
            self.unread_len = 0;
        }
        len
    }

    /// What to say once there is nothing more to read; `None` if there may be more.
    fn end_of_input(&mut self) -> Option<io::Result<usize>> {
        if let Some(fault) = self.fault {
            return Some(Err(fault.into()));
        }
        if self.is_dead {
            return Some(Err(ErrorKind::NotConnected.into()));
        }
        match self.connection.reader().fill_buf() {
            Ok([]) => Some(Ok(0)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                log::trace!("a stream ends without close_notify");
                Some(Ok(0))
            }
            _ => None,
        }
    }

    /// Reads once from the carrier and decrypts that; returns how many bytes that has brought.
    fn pull(
        &mut self,
        carrier: &mut (impl Read + Write),
        buffer: &mut [u8],
        scratch: &mut [u8],
    ) -> io::Result<usize> {
        // What is decrypted must find room, for there is no other place for what came behind it.
        let room = buffer.len().saturating_sub(LEFT_OVER_BYTES_MAX);
        let room = room.min(scratch.len());
        if room < LEFT_OVER_BYTES_MAX {
            let mut watch = Watch::new(carrier);
            self.connection.read_tls(&mut watch)?;
            let Watch {
                first,
                len,
                is_drained,
                ..
            } = watch;
            self.is_drained = is_drained;
            self.on_carried(first, len);
            self.decrypt(carrier);
            return Ok(self.take_decrypted(buffer));
        }
        let carried_len = carrier.read(&mut scratch[..room])?;
        self.is_drained = carried_len < room;
        let mut input = &scratch[..carried_len];
        self.on_carried(input.first().copied(), carried_len);
        let mut len = 0;
        loop {
            // An end of the input is an end of the stream only if nothing came at all.
            if self.connection.read_tls(&mut input)? == 0 || self.fault.is_some() {
                break;
            }
            self.decrypt(carrier);
            len += self.take_decrypted(&mut buffer[len..]);
            if input.is_empty() {
                break;
            }
        }
        Ok(len)
    }

    fn on_carried(&mut self, first: Option<u8>, len: usize) {
        self.carried_len += len;
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.unread_len = self.unread_len.saturating_add(len);
        if let Some(first) = first
            && self.progress == Progress::Fresh
        {
            self.progress = Progress::Handshaking;
            if !RECORD_TYPES.contains(&first) {
                self.fault = Some(TlsFault::NotTls);
            }
        }
    }

    fn decrypt(&mut self, carrier: &mut (impl Read + Write)) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = self.connection.process_new_packets() {
            log::debug!("encryption: {error}");
            self.fault = Some(TlsFault::from(&error));
            // The alert that says why; a peer that takes nothing misses it.
            let _ = self.push(carrier);
            return;
        }
        // An answer of the handshake, or of new keys; what does not get out now does with the next flush.
        let _ = self.push(carrier);
        if self.progress == Progress::Handshaking {
            if !self.connection.is_handshaking() {
                self.progress = Progress::Established;
                self.unread_len = 0;
            } else if self.unread_len > self.handshake_bytes_max() {
                self.fault = Some(TlsFault::HandshakeTooLong);
            }
        }
    }

    fn handshake_bytes_max(&self) -> u32 {
        match self.connection {
            Connection::Client(_) => SERVER_HANDSHAKE_BYTES_MAX,
            Connection::Server(_) => CLIENT_HANDSHAKE_BYTES_MAX,
        }
    }

    fn push(&mut self, carrier: &mut (impl Read + Write)) -> io::Result<()> {
        if self.is_dead && self.connection.wants_write() {
            return Err(ErrorKind::NotConnected.into());
        }
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Sink(carrier)) {
                Ok(0) => {
                    self.is_dead = true;
                    return Err(ErrorKind::WriteZero.into());
                }
                Ok(_) => self.has_moved = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_dead |= is_final(&error);
                    return Err(error);
                }
            }
        }
        self.unsent_len = 0;
        Ok(())
    }
}

/// What a record can begin with (RFC 8446 5.1); a request of HTTP begins with a letter.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// Whether the carrier cannot go on after this.
fn is_final(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("progress", &self.progress)
            .field("fault", &self.fault)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
