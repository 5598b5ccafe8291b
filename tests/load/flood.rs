//! One client that sends as much as it can, or as a line of a given speed lets through.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{Peer, masked_frame, opcode};

/// Bytes of one message of a flood.
const MESSAGE_LEN: usize = 64 << 10;

/// A flood that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// Payload bytes that the server has taken.
    pub(crate) len: usize,
    /// How long it took.
    pub(crate) span: Duration,
}

impl Flood {
    /// How fast it was.
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.len as f64 / self.span.as_secs_f64() / 1e6
    }
}

/// Sends large messages to `path` until `end`, at most so many bytes a second.
pub(crate) fn flood(
    addr: SocketAddr,
    path: &str,
    bytes_per_second: Option<u32>,
    end: Instant,
) -> Flood {
    step_back();
    let mut peer = Peer::connect(addr, path);
    let frame = masked_frame(opcode::FIN | opcode::BINARY, &[0x5a; MESSAGE_LEN]);
    let begun = Instant::now();
    let mut len = 0;
    while Instant::now() < end {
        peer.send_raw(&frame);
        len += MESSAGE_LEN;
        if let Some(rate) = bytes_per_second {
            let due = begun + Duration::from_secs_f64(len as f64 / f64::from(rate));
            // A line of that speed would not take the next message before.
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    Flood {
        len,
        span: begun.elapsed(),
    }
}

/// Has this thread run when the others do not want to: who floods is on a machine of its own, and takes no processor from
/// those who measure or serve.
pub(crate) fn step_back() {
    const LEAST: i32 = 19;
    rustix::process::setpriority_process(None, LEAST).expect("everybody may step back");
}
