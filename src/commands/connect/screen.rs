//! What is written for the user: messages and notes, around a line that is being edited or straight to the streams.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use rustyline::ExternalPrinter;

use crate::commands::terminal;

/// Lines that wait while the editor is busy with itself, searching its history for example.
const WAITING_LINES_MAX: usize = 1000;
/// A line that leaves everything as it is: up, and down again.
const NOTHING: &str = "\x1b[A\n";
/// For the lines that still wait at the end.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// Where messages and notes go.
#[derive(Debug)]
pub(super) struct Screen {
    surface: Surface,
    paint: Paint,
}

/// Who writes.
#[derive(Debug)]
enum Surface {
    /// A thread through the editor of lines, which draws the line that is being edited again.
    Editor {
        lines: SyncSender<Line>,
        /// Told of every flush, and hung up when everything is written.
        is_flushed: Receiver<()>,
    },
    /// This one: messages to standard output, notes to standard error.
    Streams,
}

/// What the thread has to do.
enum Line {
    Show(String),
    Flush,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Colours,
    Plain,
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Time,
    Group,
    Sender,
    Note,
}

impl Paint {
    /// Colours for a terminal, unless the environment says that somebody wants none.
    pub(super) fn of_stdout() -> Self {
        let refuses = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        if io::stdout().is_terminal() && !refuses && !is_dumb {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    /// The text in the colour of its role.
    pub(super) fn dress(self, role: Role, text: &str) -> String {
        let style = match role {
            Role::Time => "2",
            Role::Group => "36",
            Role::Sender => "1;32",
            Role::Note => "33",
        };
        match self {
            Self::Colours => format!("\x1b[{style}m{text}\x1b[0m"),
            Self::Plain => text.into(),
        }
    }
}

impl Screen {
    /// A screen without an editor of lines.
    pub(super) fn of_streams() -> Self {
        Self {
            surface: Surface::Streams,
            paint: Paint::of_stdout(),
        }
    }

    /// A screen around the line that an editor draws.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub(super) fn around_editor(
        mut printer: impl ExternalPrinter + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, waiting) = mpsc::sync_channel(WAITING_LINES_MAX);
        let (flushed, is_flushed) = mpsc::channel();
        // A thread of its own, because the printer waits for the editor, and the server must not wait for either.
        thread::Builder::new()
            .name("screen".into())
            .spawn(move || {
                let mut print = |line: &str| {
                    if printer.print(line.into()).is_err() {
                        // The editor has gone.
                        let _ = io::stdout().write_all(line.as_bytes());
                    }
                };
                for line in waiting {
                    match line {
                        Line::Show(line) => print(&line),
                        Line::Flush => {
                            // The printer returns when the line before is taken, so after two the last one is written.
                            print(NOTHING);
                            print(NOTHING);
                            let _ = flushed.send(());
                        }
                    }
                }
            })?;
        Ok(Self {
            surface: Surface::Editor { lines, is_flushed },
            paint: Paint::of_stdout(),
        })
    }

    /// Whether somebody edits lines.
    pub(super) fn is_interactive(&self) -> bool {
        matches!(self.surface, Surface::Editor { .. })
    }

    /// Whether what is shown goes to a terminal, and not to a file or another program.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_interactive() || io::stdout().is_terminal()
    }

    /// How pieces of text are coloured.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes a line that came from the server.
    ///
    /// # Errors
    ///
    /// Nobody reads standard output any more.
    pub(super) fn show(&self, line: &str) -> io::Result<()> {
        match &self.surface {
            Surface::Editor { lines, .. } => lines
                .send(Line::Show(format!("{line}\n")))
                .map_err(|_| io::ErrorKind::BrokenPipe.into()),
            Surface::Streams => {
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{line}")?;
                stdout.flush()
            }
        }
    }

    /// Writes something that is no message.
    pub(super) fn note(&self, text: &str) {
        match &self.surface {
            Surface::Editor { .. } => {
                let lines = text.lines().map(|line| format!("* {line}"));
                let lines: Vec<_> = lines
                    .map(|line| self.paint.dress(Role::Note, &line))
                    .collect();
                // If nobody writes it any more, nobody reads it either.
                let _ = self.show(&lines.join("\n"));
            }
            Surface::Streams => terminal::note(text),
        }
    }

    /// Waits until everything is written, as far as the editor is able to; while there is one.
    pub(super) fn flush(&self) {
        if let Surface::Editor { lines, is_flushed } = &self.surface
            && lines.try_send(Line::Flush).is_ok()
        {
            let _ = is_flushed.recv_timeout(LAST_LINES_TIMEOUT);
        }
    }

    /// Writes what still waits; after the editor has ended.
    pub(super) fn finish(&mut self) {
        let surface = std::mem::replace(&mut self.surface, Surface::Streams);
        if let Surface::Editor { lines, is_flushed } = surface {
            drop(lines);
            // Whatever comes of flushes, the other side hangs up in the end.
            while is_flushed.recv_timeout(LAST_LINES_TIMEOUT).is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_end_where_they_begin() {
        assert_eq!(Paint::Colours.dress(Role::Group, "g"), "\x1b[36mg\x1b[0m");
        assert_eq!(Paint::Plain.dress(Role::Group, "g"), "g");
    }
}
