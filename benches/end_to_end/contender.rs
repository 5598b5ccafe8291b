//! The servers that are compared, each as a process of its own on the first processor.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[cfg(feature = "tls")]
use super::authority::Authority;
use super::entrance::Trust;
use super::raw::RawWork;
use super::server_process::{ServerProcess, switchboard};

/// A server that can be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The yardstick.
    Raw(RawWork),
    /// Ours, with so many event loops.
    Switchboard(u8),
    /// The same with every connection encrypted.
    #[cfg(feature = "tls")]
    Encrypted(u8),
    /// uWebSockets, inside bun.
    Bun,
    /// A Rust library on tokio, in `benches/peers`.
    FastWebSockets,
    /// Another one.
    TokioTungstenite,
}

/// Which processor the servers get; the generator gets the next one.
const SERVER_CORE: usize = 0;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// The contenders that this machine has, and how they are started.
#[derive(Debug)]
pub(crate) struct Field {
    bun: Option<PathBuf>,
    has_rust_peers: bool,
    is_pinned: bool,
    /// More flags of switchboard.
    flags: Vec<String>,
    #[cfg(feature = "tls")]
    authority: Authority,
}

impl Field {
    /// Looks for bun, builds the peers if they are wanted, and pins this process to its processor.
    pub(crate) fn prepare(wants_peers: bool, flags: Vec<String>) -> Self {
        let bun = wants_peers.then(bun).flatten();
        if wants_peers && bun.is_none() {
            eprintln!(
                "no bun (npm install bun): set BENCH_BUN or PATH to compare with uWebSockets"
            );
        }
        let is_pinned = pin_generator();
        if !is_pinned {
            eprintln!(
                "not pinned, which takes `taskset` and two processors: the figures will be noise"
            );
        }
        Self {
            bun,
            has_rust_peers: wants_peers && build_rust_peers(),
            is_pinned,
            flags,
            #[cfg(feature = "tls")]
            authority: Authority::new("bench"),
        }
    }

    /// Whether this one can be started.
    pub(crate) fn has(&self, contender: Contender) -> bool {
        match contender {
            #[cfg(feature = "tls")]
            Contender::Encrypted(_) => true,
            Contender::Raw(_) | Contender::Switchboard(_) => true,
            Contender::Bun => self.bun.is_some(),
            Contender::FastWebSockets | Contender::TokioTungstenite => self.has_rust_peers,
        }
    }

    /// Starts one and waits until it listens.
    pub(crate) fn start(&self, contender: Contender) -> ServerProcess {
        let command = match contender {
            Contender::Raw(work) => {
                let mut command = Command::new(env::current_exe().expect("this program"));
                command.args(["--serve-raw", work.name()]);
                command
            }
            Contender::Switchboard(loop_count) => self.switchboard(loop_count),
            #[cfg(feature = "tls")]
            Contender::Encrypted(loop_count) => {
                let mut command = self.switchboard(loop_count);
                command.args(self.authority.flags());
                command
            }
            Contender::Bun => {
                let mut command = Command::new(self.bun.as_ref().expect("it was asked for"));
                command.arg(Path::new(PEERS).join("bun.js"));
                command
            }
            Contender::FastWebSockets => Command::new(rust_peer("fastwebsockets")),
            Contender::TokioTungstenite => Command::new(rust_peer("tokio-tungstenite")),
        };
        ServerProcess::start_command(self.pinned(command))
    }

    /// Whom the clients of this one trust, if they are to be encrypted.
    pub(crate) fn trust(&self, contender: Contender) -> Option<Trust> {
        match contender {
            #[cfg(feature = "tls")]
            Contender::Encrypted(_) => Some(self.authority.client_config(rustls::ALL_VERSIONS)),
            _ => None,
        }
    }

    fn switchboard(&self, loop_count: u8) -> Command {
        let loop_count = loop_count.to_string();
        // A run must not meet pings, which are no messages.
        let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--threads", &loop_count, "--ping-interval", "1h"]);
        command.args(&self.flags);
        command
    }

    fn pinned(&self, command: Command) -> Command {
        if !self.is_pinned {
            return command;
        }
        let mut pinned = Command::new("taskset");
        pinned
            .args(["-c", &SERVER_CORE.to_string()])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        pinned
    }
}

impl Contender {
    /// What to call it at the head of a column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw(_) => "raw",
            Self::Switchboard(_) => "switchboard",
            #[cfg(feature = "tls")]
            Self::Encrypted(_) => "switchboard, encrypted",
            Self::Bun => "uWebSockets (bun)",
            Self::FastWebSockets => "fastwebsockets",
            Self::TokioTungstenite => "tokio-tungstenite",
        }
    }
}

/// The processor time of a server that has nothing to do any more.
pub(crate) fn settled_processor_time(server: &ServerProcess) -> Duration {
    let mut before = server.processor_time();
    for _ in 0..50 {
        // What a thread has used is only certain when it sleeps, and nothing tells when it does.
        std::thread::sleep(Duration::from_millis(2));
        let now = server.processor_time();
        if now == before {
            break;
        }
        before = now;
    }
    before
}

fn pin_generator() -> bool {
    let core = (SERVER_CORE + 1).to_string();
    let pid = std::process::id().to_string();
    Command::new("taskset")
        .args(["-a", "-c", "-p", &core, &pid])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn bun() -> Option<PathBuf> {
    let named = env::var_os("BENCH_BUN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("bun"));
    named.into_iter().chain(found).find(|file| file.is_file())
}

fn rust_peer(name: &str) -> PathBuf {
    Path::new(PEERS).join("target/release").join(name)
}

fn build_rust_peers() -> bool {
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--manifest-path",
        ])
        .arg(Path::new(PEERS).join("Cargo.toml"))
        .status();
    let is_built = status.is_ok_and(|status| status.success());
    if !is_built {
        eprintln!("the peers in {PEERS} could not be built: going on without them");
    }
    is_built
}
