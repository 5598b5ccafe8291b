//! Ctrl+C for commands that wait: told once, by a thread of its own.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `stop` at the first SIGINT or SIGTERM; the second ends the process at once.
///
/// # Errors
///
/// What the system says if it does not report signals.
pub(super) fn on_interrupt(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut arrived = signals.forever();
            if arrived.next().is_some() {
                stop();
            }
            if let Some(signal) = arrived.next() {
                // The exit code that a shell expects of who dies of a signal.
                std::process::exit(128 + signal);
            }
        })?;
    Ok(())
}
