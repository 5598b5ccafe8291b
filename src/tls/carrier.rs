//! What carries encrypted bytes, as one end of the connection sees it.

use std::io::{self, IoSlice, Read, Write};

/// What was read from a carrier, as far as it is of interest to whoever did not read it.
pub(super) struct Watch<'a, C> {
    carrier: &'a mut C,
    pub(super) first: Option<u8>,
    pub(super) len: usize,
    pub(super) is_drained: bool,
}

impl<'a, C> Watch<'a, C> {
    pub(super) fn new(carrier: &'a mut C) -> Self {
        Self {
            carrier,
            first: None,
            len: 0,
            is_drained: false,
        }
    }
}

impl<C: Read> Read for Watch<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.carrier.read(buffer)?;
        self.first = buffer[..len].first().copied();
        self.len = len;
        self.is_drained = len < buffer.len();
        Ok(len)
    }
}

/// A carrier that is given a single record, as most writes are, by the call for one, which costs the system less.
pub(super) struct Sink<'a, C>(pub(super) &'a mut C);

impl<C: Write> Write for Sink<'_, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [record] => self.0.write(record),
            records => self.0.write_vectored(records),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
