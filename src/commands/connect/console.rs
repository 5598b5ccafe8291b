//! The user's side: lines that are typed or piped in, in a thread of their own, and the terminal that they come from.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};

use super::screen::Screen;
use crate::commands::interrupt::on_interrupt;
use crate::commands::terminal::one_line;

/// Lines that are read from a pipe before somebody takes them.
const WAITING_LINES_MAX: usize = 16;
/// Longest line of a pipe; no server takes a longer message by default.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Lines of the history that are kept.
const HISTORY_LINES_MAX: usize = 1000;
/// What has the terminal no longer mark what is pasted.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l";
/// For the editor to let go of the terminal.
const LET_GO_TIMEOUT: Duration = Duration::from_secs(1);

/// What comes of the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<T> {
    /// A line, and what it means.
    Meant(T),
    /// There is no more.
    End,
    /// Ctrl+C, or a signal that stands for it.
    Interrupted,
    /// Standard input cannot be read, for this reason.
    Failed(String),
}

/// Finds meaning in lines.
pub(super) trait Interpreter: Send + 'static {
    /// What a line can mean.
    type Meaning: Send + 'static;

    /// What stands in front of the line that is typed next.
    fn prompt(&self) -> String;

    /// What `line` means; `None` if nothing.
    fn interpret(&mut self, line: String) -> Option<Input<Self::Meaning>>;
}

/// Whether what is typed is kept for another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    File,
    None,
}

/// The user: lines from them, a screen for them.
#[derive(Debug)]
pub(super) struct Console<T> {
    inputs: Receiver<Input<T>>,
    interrupts: Receiver<()>,
    /// The terminal, while somebody edits lines on it.
    terminal: Option<Terminal>,
    /// What is shown.
    pub(super) screen: Screen,
}

impl<T: Send + 'static> Console<T> {
    /// Begins to read lines; `nudge` is called whenever there is one to take.
    ///
    /// # Errors
    ///
    /// The system starts no thread, or reports no signals.
    pub(super) fn open(
        interpreter: impl Interpreter<Meaning = T>,
        memory: Memory,
        nudge: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (interrupted, interrupts) = mpsc::channel();
        let on_signal = nudge.clone();
        on_interrupt(move || {
            let _ = interrupted.send(());
            on_signal();
        })?;
        let reader = thread::Builder::new().name("input".into());
        let Some((mut editor, screen)) = editor()? else {
            let (taken, inputs) = mpsc::sync_channel(WAITING_LINES_MAX);
            reader.spawn(move || read_lines(interpreter, &taken, nudge))?;
            return Ok(Self {
                inputs,
                interrupts,
                terminal: None,
                screen: Screen::of_streams(),
            });
        };
        let terminal = Some(Terminal::of_stdin()?);
        let history = (memory == Memory::File).then(history_file).flatten();
        if let Some(path) = &history {
            // There is none the first time.
            let _ = editor.load_history(path);
        }
        // Without a bound: the editor must be back before the next message is shown, and nobody types without end.
        let (typed, inputs) = mpsc::channel();
        reader.spawn(move || {
            let mut typist = Typist {
                editor,
                history,
                interpreter,
            };
            loop {
                let input = typist.next_input();
                let is_last = !matches!(input, Input::Meant(_));
                if is_last {
                    // Before anybody hears of it, because from now on the screen is free.
                    drop(typist);
                    let _ = typed.send(input);
                    nudge();
                    return;
                }
                if typed.send(input).is_err() {
                    return;
                }
                nudge();
            }
        })?;
        Ok(Self {
            inputs,
            interrupts,
            terminal,
            screen,
        })
    }

    /// What the user did; lines only if they are `wanted`. `None` if nothing.
    pub(super) fn next_input(&self, wanted: bool) -> Option<Input<T>> {
        if self.interrupts.try_recv().is_ok() {
            return Some(Input::Interrupted);
        }
        if wanted {
            self.inputs.try_recv().ok()
        } else {
            None
        }
    }

    /// Reads no more lines and gives the terminal back as it was.
    pub(super) fn end_input(&mut self) {
        let Some(terminal) = self.terminal.take() else {
            return;
        };
        // The editor prefers keys to lines, and the end of them to everything.
        self.screen.flush();
        terminal.take_from_editor();
        let deadline = Instant::now() + LET_GO_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inputs.recv_timeout(left) {
                // Lines that came too late.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        drop(terminal);
        self.screen.finish();
    }
}

/// Reads lines with an editor.
struct Typist<I> {
    editor: DefaultEditor,
    history: Option<PathBuf>,
    interpreter: I,
}

impl<I: Interpreter> Typist<I> {
    /// Has a line typed that means something, or an end.
    fn next_input(&mut self) -> Input<I::Meaning> {
        loop {
            let prompt = one_line(&self.interpreter.prompt());
            match self.editor.readline(&prompt) {
                Ok(line) => {
                    self.remember(&line);
                    if let Some(input) = self.interpreter.interpret(line) {
                        return input;
                    }
                }
                Err(ReadlineError::Eof) => return Input::End,
                Err(ReadlineError::Interrupted) => return Input::Interrupted,
                // Keys that are no text.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => return Input::Failed(error.to_string()),
            }
        }
    }

    fn remember(&mut self, line: &str) {
        // A history that cannot be kept is not worth a word in the middle of a conversation.
        let is_new = self.editor.add_history_entry(line).unwrap_or(false);
        if let Some(path) = self.history.as_ref().filter(|_| is_new) {
            let _ = self.editor.append_history(path);
        }
    }
}

/// An editor and a screen around it, if there is a terminal on both sides that can do it.
///
/// # Errors
///
/// The system starts no thread.
fn editor() -> io::Result<Option<(DefaultEditor, Screen)>> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(None);
    }
    let config = Config::builder()
        // A line with a blank in front stays secret.
        .history_ignore_space(true)
        .max_history_size(HISTORY_LINES_MAX)
        .map(|builder| builder.build());
    let made = config.and_then(DefaultEditor::with_config);
    let Ok((editor, printer)) = made.and_then(|mut editor| {
        let printer = editor.create_external_printer()?;
        Ok((editor, printer))
    }) else {
        // A terminal that can only write lines one below the other.
        return Ok(None);
    };
    Ok(Some((editor, Screen::around_editor(printer)?)))
}

/// Reads lines from a pipe, or from a terminal that has no editor.
fn read_lines<I: Interpreter>(
    mut interpreter: I,
    taken: &SyncSender<Input<I::Meaning>>,
    nudge: impl Fn(),
) {
    let mut stdin = io::stdin().lock();
    loop {
        let input = match next_line(&mut stdin) {
            Ok(Some(line)) => match interpreter.interpret(line) {
                Some(input) => input,
                None => continue,
            },
            Ok(None) => Input::End,
            Err(reason) => Input::Failed(reason),
        };
        let is_last = !matches!(input, Input::Meant(_));
        if taken.send(input).is_err() {
            return;
        }
        nudge();
        if is_last {
            return;
        }
    }
}

/// The next line without its end; `None` if there is none.
///
/// # Errors
///
/// Why there is none that can be sent.
fn next_line(source: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let read = source
        .by_ref()
        .take(LINE_BYTES_MAX + 1)
        .read_until(b'\n', &mut line);
    match read {
        Err(error) => return Err(error.to_string()),
        Ok(0) => return Ok(None),
        Ok(_) => {}
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 > LINE_BYTES_MAX {
        return Err(format!("a line has more than {LINE_BYTES_MAX} bytes"));
    }
    match String::from_utf8(line) {
        Ok(line) => Ok(Some(line)),
        Err(_) => Err("a line is not UTF-8".into()),
    }
}

/// Where lines are kept from one time to the next; `None` if there is no place.
fn history_file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        Some(PathBuf::from(
            env::var_os("HOME").filter(|home| !home.is_empty())?,
        ))
    };
    let state = state.or_else(|| Some(home()?.join(".local/state")))?;
    let directory = state.join("switchboard");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .ok()?;
    Some(directory.join("connect_history"))
}

/// The terminal of the user, and how it was; given back when this is dropped.
struct Terminal {
    device: OwnedFd,
    modes: Termios,
}

impl Terminal {
    /// The terminal of standard input, from now on with nobody but the editor between keys and us.
    fn of_stdin() -> io::Result<Self> {
        let device = io::stdin().as_fd().try_clone_to_owned()?;
        let modes = tcgetattr(&device)?;
        let mut kept = modes.clone();
        // The editor sets them for each line anew. Keys that are pressed in between must wait for it: the end of the input,
        // for one, would be lost.
        kept.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        let terminal = Self { device, modes };
        tcsetattr(&terminal.device, OptionalActions::Now, &kept)?;
        Ok(terminal)
    }

    /// Has the editor find the end of its input, since nothing else stops it.
    fn take_from_editor(&self) {
        let taken = File::open("/dev/null")
            .and_then(|nothing| Ok(rustix::stdio::dup2_stdin(nothing)?))
            // A change of its size is what it looks up for.
            .and_then(|()| Ok(kill_process(getpid(), Signal::WINCH)?));
        if let Err(error) = taken {
            log::debug!("the editor of lines goes on: {error}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone does not mind. The editor has switched the mark off, unless its input was taken away.
        let _ = tcsetattr(&self.device, OptionalActions::Drain, &self.modes);
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(BRACKETED_PASTE_OFF);
        let _ = stdout.flush();
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_like_those_of_every_system_and_the_last_one_needs_no_end() {
        let mut source: &[u8] = b"a\n\nb\r\nc\rd\r\n\xff\ne";
        for expected in [
            Ok(Some("a".into())),
            Ok(Some(String::new())),
            Ok(Some("b".into())),
            Ok(Some("c\rd".into())),
            Err("a line is not UTF-8".into()),
            Ok(Some("e".into())),
            Ok(None),
        ] {
            assert_eq!(next_line(&mut source), expected);
        }
    }

    #[test]
    fn a_line_without_an_end_in_sight_is_not_read_on() {
        let mut source = io::BufReader::new(io::repeat(b'x'));
        assert!(next_line(&mut source).is_err());
    }
}
