//! A program on a pseudo-terminal: keys go in, and what a person would see comes out.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod picture;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use picture::Picture;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// Size of the terminal; long lines are not of interest.
const COLUMNS: u16 = 120;

/// A terminal with a program on it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    output: Receiver<Vec<u8>>,
    picture: Picture,
    /// Everything that was written, escape sequences included.
    written: Vec<u8>,
    /// How the terminal was before.
    modes: Termios,
}

impl Terminal {
    /// Starts the command with the terminal as its standard input, output and error.
    pub(crate) fn start(mut command: Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keyboard, size).unwrap();
        let device: OwnedFd = open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let modes = tcgetattr(&device).unwrap();
        let stream = || Stdio::from(device.try_clone().unwrap());
        command.env("TERM", "xterm-256color");
        let child = command
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        // The command holds its ends until it is dropped, and the screen would never end.
        drop((command, device));
        let keys = File::from(keyboard);
        let mut screen = keys.try_clone().unwrap();
        let (seen, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal that nobody holds any more is an error.
            while let Ok(len @ 1..) = screen.read(&mut buffer) {
                if seen.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            output,
            picture: Picture::default(),
            written: Vec::new(),
            modes,
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a line of the screen is `line`, and it is the last one.
    pub(crate) fn await_last(&mut self, line: &str) {
        self.await_picture(&format!("the last line {line:?}"), |lines| {
            lines.last().is_some_and(|last| last == line)
        });
    }

    /// Waits for a line with `text` in it; that line.
    pub(crate) fn await_line(&mut self, text: &str) -> String {
        self.await_picture(&format!("a line with {text:?}"), |lines| {
            lines.iter().any(|line| line.contains(text))
        });
        let lines = self.picture.lines();
        lines.into_iter().find(|line| line.contains(text)).unwrap()
    }

    fn await_picture(&mut self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_there(&self.picture.lines()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.see(&bytes),
                Err(error) => panic!("{error}: no {what} in {:#?}", self.picture.lines()),
            }
        }
    }

    fn see(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
        self.picture.draw(bytes);
    }

    /// Everything that was written so far, escape sequences included.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// The lines of the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.picture.lines()
    }

    /// Whether keys are read one by one, as an editor of lines does.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.keys).unwrap();
        !modes.local_modes.contains(LocalModes::ICANON)
    }

    /// Sends a signal, named as for `kill`.
    pub(crate) fn signal(&self, name: &str) {
        crate::server_process::signal(&self.child, name);
    }

    /// Waits until the program has ended; it has to leave the terminal as it was.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.see(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on: {:#?}", self.lines()),
            }
        }
        let modes = tcgetattr(&self.keys).unwrap();
        assert_eq!(modes.local_modes, self.modes.local_modes);
        assert_eq!(modes.input_modes, self.modes.input_modes);
        let marks = |mode: &str| self.written().rfind(&format!("\x1b[?2004{mode}"));
        assert!(marks("h") <= marks("l"), "pasted text is still marked");
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
