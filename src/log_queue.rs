//! The log of the binary: a bounded queue in front of the thread that writes it.
//!
//! Whoever logs, an event loop above all, never waits for standard error (LG-04). If nobody reads that, the queue fills
//! and further lines are lost, which is said with their number as soon as lines are written again. If it is closed, all
//! lines are. The times in the log are those of writing.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

/// Lines that wait to be written; at 200 bytes each, less than a megabyte.
const LINES_MAX: usize = 4_096;
/// Bytes of one line; what comes behind them is cut off (LG-01).
const LINE_BYTES_MAX: usize = 2_048;
/// How long the end of the process waits for lines that nobody takes.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends the log to standard error, from `level` up.
pub(crate) fn start(level: LevelFilter) {
    let (sender, entries) = sync_channel(LINES_MAX);
    let lost_count = Arc::new(AtomicU64::new(0));
    let logger = LogQueue {
        level,
        entries: sender,
        lost_count: Arc::clone(&lost_count),
    };
    let writer = SimpleLogger::new().with_level(level).with_utc_timestamps();
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(logger)).expect("no logger was set before this one");
    let started = thread::Builder::new()
        .name("log".into())
        .spawn(move || write_all(&entries, &writer, &lost_count));
    if started.is_err() {
        // The receiver is gone with the thread, and every line is lost: to serve is worth more.
        log::set_max_level(LevelFilter::Off);
    }
}

/// What waits to be written.
enum Entry {
    Line {
        level: Level,
        target: String,
        text: String,
    },
    /// Somebody wants to know when all before it is written.
    Flush(SyncSender<()>),
}

/// The end of the queue at which lines come in.
struct LogQueue {
    level: LevelFilter,
    entries: SyncSender<Entry>,
    /// Lines that found the queue full and of which the log has not told yet.
    lost_count: Arc<AtomicU64>,
}

impl Log for LogQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = Entry::Line {
            level: record.level(),
            target: record.target().into(),
            text: clean(&record.args().to_string()),
        };
        if let Err(TrySendError::Full(_)) = self.entries.try_send(line) {
            self.lost_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (sender, written) = sync_channel(1);
        if self.entries.try_send(Entry::Flush(sender)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Writes what comes, for as long as the process lives.
fn write_all(entries: &Receiver<Entry>, writer: &SimpleLogger, lost_count: &AtomicU64) {
    for entry in entries {
        match entry {
            Entry::Line {
                level,
                target,
                text,
            } => write(writer, level, &target, &text),
            Entry::Flush(sender) => _ = sender.try_send(()),
        }
        let lost_count = lost_count.swap(0, Ordering::Relaxed);
        if lost_count > 0 {
            let text = format!("{lost_count} lines of the log were lost: it was not read in time");
            write(writer, Level::Warn, module_path!(), &text);
        }
    }
}

fn write(writer: &SimpleLogger, level: Level, target: &str, text: &str) {
    let write = || {
        writer.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{text}"))
                .build(),
        );
    };
    // `SimpleLogger` panics if standard error is closed. The line is lost then; there is nobody left to tell.
    let _ = panic::catch_unwind(AssertUnwindSafe(write));
}

/// One line for a terminal: without control characters, which could forge lines and steer the terminal, and not longer
/// than a line of the log may be.
fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if line.len() >= LINE_BYTES_MAX {
            line.push('…');
            break;
        }
        // Among the other characters are those that turn the direction of a line.
        let is_harmless = c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
        if is_harmless {
            line.push(c);
        } else {
            line.extend(c.escape_default());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(len: usize) -> (LogQueue, Receiver<Entry>) {
        let (sender, entries) = sync_channel(len);
        let queue = LogQueue {
            level: LevelFilter::Info,
            entries: sender,
            lost_count: Arc::default(),
        };
        (queue, entries)
    }

    fn log(queue: &LogQueue, level: Level, text: &str) {
        queue.log(
            &Record::builder()
                .level(level)
                .args(format_args!("{text}"))
                .build(),
        );
    }

    /// All that was queued.
    fn texts(entries: &Receiver<Entry>) -> Vec<String> {
        let text = |entry| match entry {
            Entry::Line { text, .. } => text,
            Entry::Flush(_) => "flush".into(),
        };
        entries.iter().map(text).collect()
    }

    #[test]
    fn lg_04_what_does_not_fit_into_the_queue_is_counted_and_nobody_waits() {
        let (queue, entries) = queue(2);
        for text in ["a", "b", "c", "d"] {
            log(&queue, Level::Info, text);
        }
        log(&queue, Level::Debug, "not wanted");
        assert_eq!(queue.lost_count.load(Ordering::Relaxed), 2);
        queue.flush();
        drop(queue);
        assert_eq!(texts(&entries), ["a", "b"]);
    }

    #[test]
    fn lg_01_what_is_queued_is_one_clean_line() {
        let (queue, entries) = queue(1);
        log(&queue, Level::Info, "a\r\nERROR b\u{1b}[2J");
        drop(queue);
        assert_eq!(texts(&entries), ["a\\r\\nERROR b\\u{1b}[2J"]);
    }

    #[test]
    fn lg_01_a_line_is_one_line_without_control_characters_and_not_endless() {
        assert_eq!(
            clean("a\r\nERROR b\u{1b}[2J\u{7f}\u{202e}ß"),
            "a\\r\\nERROR b\\u{1b}[2J\\u{7f}\\u{202e}ß"
        );
        let long = clean(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), LINE_BYTES_MAX + 1);
    }
}
