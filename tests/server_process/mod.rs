//! The binary as a child process: started on a port of its own, watched through `/proc`, stopped by its own id.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_switchboard");

/// How long the process may take for anything before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running server; it is stopped when this is dropped, and its counts have to add up then.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    addr: SocketAddr,
    /// Lines of standard output behind the first one; ends when the process does.
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
}

impl ServerProcess {
    /// Starts `switchboard serve --listen 127.0.0.1:0` with more flags and waits until it listens.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(flags);
        Self::start_command(command)
    }

    /// The same with at most `limit` descriptors.
    pub(crate) fn start_with_descriptors(limit: u32, flags: &[&str]) -> Self {
        Self::start_command(with_descriptors(&format!("ulimit -n {limit}"), flags))
    }

    /// Starts a command that ends up as a server, and waits until it says where it listens.
    pub(crate) fn start_command(mut command: Command) -> Self {
        let (mut child, lines, log) = spawn(&mut command);
        let first = lines.recv_timeout(DEADLINE);
        let Ok(line) = first else {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "no first line ({first:?}); the log:\n{}",
                log.lock().unwrap()
            );
        };
        let addr = line
            .strip_prefix("listening on ")
            .and_then(|url| url.split_once("://"))
            .map(|(_, addr)| addr)
            .unwrap_or_else(|| panic!("{line}"));
        let addr = addr.parse().unwrap_or_else(|_| panic!("{line}"));
        Self {
            child,
            addr,
            lines,
            log,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next line behind those already read.
    pub(crate) fn next_line(&mut self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line")
    }

    /// Sends a signal, named as for `kill`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_at_most(DEADLINE)
    }

    /// Waits until the process has ended, which must not take longer than this.
    pub(crate) fn wait_at_most(&mut self, span: Duration) -> ExitStatus {
        match read_to_end(&self.lines, span) {
            Some(_) => {
                let status = self.child.wait().unwrap();
                read_log_to_end(&self.log);
                self.assert_balance();
                status
            }
            None => panic!("it still runs; the log:\n{}", self.log()),
        }
    }

    /// Every server that says how its counts add up has lost and doubled nothing (LG-06). Those that were killed, and those
    /// whose log is switched off, do not say.
    fn assert_balance(&self) {
        let log = self.log();
        let Some(line) = log
            .lines()
            .find(|line| line.contains("all loops have ended: "))
        else {
            return;
        };
        let value = |name: &str| -> u64 {
            let field = line.split(' ').find_map(|field| field.strip_prefix(name));
            let value = field.unwrap_or_else(|| panic!("{name} {line}"));
            value.parse().unwrap_or_else(|_| panic!("{name} {line}"))
        };
        assert_eq!(value("open=") + value("queued="), 0, "{line}");
        assert_eq!(value("accepted="), value("ended="), "{line}");
        assert_eq!(
            value("fan_out="),
            value("delivered=") + value("dropped="),
            "{line}"
        );
    }

    /// Has the process end at once if it runs, and checks what it says then.
    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Two different signals: two of one kind can come as one.
        self.signal("TERM");
        self.signal("INT");
        if read_to_end(&self.lines, DEADLINE).is_none() {
            return;
        }
        let _ = self.child.wait();
        read_log_to_end(&self.log);
        self.assert_balance();
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The first line of the log with `text` in it, which may still be on its way.
    pub(crate) fn logged(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            thread::yield_now();
        }
        panic!("nothing of {text:?} in the log");
    }

    /// Resident memory in KiB, now.
    pub(crate) fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Resident memory in KiB when it was highest: what happens between two looks does not escape it.
    pub(crate) fn peak_rss_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Begins to look for the peak anew; resident memory in KiB now.
    pub(crate) fn reset_peak_rss(&self) -> u64 {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        self.peak_rss_kib()
    }

    /// Processor time used so far, in ticks, of which a second usually has 100.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = self.proc_file("stat");
        // The name of the program, in parentheses, may contain anything; user and system time are 12 and 13 behind it.
        let fields: Vec<_> = stat[stat.rfind(')').unwrap() + 1..]
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Processor time that its threads have used so far; those that have ended do not count.
    ///
    /// Exact for a thread that sleeps; otherwise it lags behind by up to a tick of the scheduler.
    pub(crate) fn processor_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.map(|task| {
            let schedstat = fs::read_to_string(task.unwrap().path().join("schedstat"));
            schedstat.map_or(0, |text| {
                let used = text.split_whitespace().next().unwrap();
                used.parse::<u64>().unwrap()
            })
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Open descriptors.
    pub(crate) fn descriptor_count(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    /// How many numbers below `limit` no descriptor has: the system gives out no others under such a limit.
    pub(crate) fn unused_descriptors_below(&self, limit: usize) -> usize {
        let entry = |number| format!("/proc/{}/fd/{number}", self.child.id());
        let is_unused = |number: &usize| fs::symlink_metadata(entry(*number)).is_err();
        (0..limit).filter(is_unused).count()
    }

    /// A line of `/proc/PID/status` with a number of KiB.
    fn status_kib(&self, name: &str) -> u64 {
        let status = self.proc_file("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What the system says of the process under this name.
    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
    }
}

/// What a command that is not a server left behind.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output, lines ended by LF.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self {
            code: output.status.code(),
            stdout,
            stderr,
        }
    }
}

/// Runs a command to its end, which must come soon.
pub(crate) fn run(mut command: Command) -> Ended {
    let (mut child, lines, log) = spawn(&mut command);
    let Some(stdout) = read_to_end(&lines, DEADLINE) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} does not end");
    };
    let code = child.wait().unwrap().code();
    read_log_to_end(&log);
    let stderr = log.lock().unwrap().clone();
    Ended {
        code,
        stdout,
        stderr,
    }
}

/// Sends a signal, named as for `kill`.
pub(crate) fn signal(child: &Child, name: &str) {
    let script = format!("kill -{name} {}", child.id());
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}

/// Starts a command with pipes for all that it reads and writes.
pub(crate) fn spawn_piped(mut command: Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a command to its end, with a standard input that has nothing and does not end before.
pub(crate) fn run_while_open(command: Command) -> Ended {
    let mut child = spawn_piped(command);
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    output.into()
}

/// The binary with arguments, and without whatever settings the environment of the tests may contain.
pub(crate) fn switchboard(arguments: &[&str]) -> Command {
    let mut command = without_settings(Command::new(BINARY));
    command.args(arguments);
    command
}

/// A server below a shell that first does what `preparation` says, to limits and descriptors.
pub(crate) fn with_descriptors(preparation: &str, flags: &[&str]) -> Command {
    with_limit(
        preparation,
        &[&["serve", "--listen", "127.0.0.1:0"], flags].concat(),
    )
}

/// The binary with arguments, below such a shell.
pub(crate) fn with_limit(preparation: &str, arguments: &[&str]) -> Command {
    let mut command = without_settings(Command::new("sh"));
    let script = format!("{preparation}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, BINARY]).args(arguments);
    command
}

/// Takes out of a command's environment what would be settings of the binary.
pub(crate) fn without_settings(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHBOARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Starts a child whose standard output comes line by line and whose standard error is collected.
fn spawn(command: &mut Command) -> (Child, Receiver<String>, Arc<Mutex<String>>) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("start");
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = channel();
    thread::spawn(move || {
        stdout
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let log = Arc::new(Mutex::new(String::new()));
    let collected = Arc::clone(&log);
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            collected.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    (child, lines, log)
}

/// Waits until the log of a process that has ended is complete.
///
/// Its last bytes may still be on their way through the thread that reads them, which lets go of its half when it has
/// them all.
fn read_log_to_end(log: &Arc<Mutex<String>>) {
    let deadline = Instant::now() + DEADLINE;
    while Arc::strong_count(log) > 1 {
        assert!(Instant::now() < deadline, "standard error stays open");
        thread::yield_now();
    }
}

/// All lines up to the end of the process that writes them; `None` if that does not come in time.
///
/// The end of its standard output is the end of a process, and unlike the latter it can be waited for with a deadline.
fn read_to_end(lines: &Receiver<String>, span: Duration) -> Option<String> {
    let deadline = Instant::now() + span;
    let mut text = String::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => text.push_str(&(line + "\n")),
            Err(RecvTimeoutError::Disconnected) => return Some(text),
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}
