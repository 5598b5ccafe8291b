//! Compression with clients that others have made: npm `ws` and Python `websockets`, as `tests/foreign/` drives them.
#![cfg(feature = "deflate")]

mod installed;
mod server_process;

use std::path::Path;
use std::process::Command;

use installed::run_to_end;
use server_process::ServerProcess;

/// The scripts and the lists of what they need.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn npm_ws_talks_compressed() {
    let folder = installed::npm_packages(Path::new(SCRIPTS));
    let mut node = Command::new("node");
    node.arg(Path::new(SCRIPTS).join("compressed.mjs"))
        .arg(folder);
    drive(node);
}

#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn python_websockets_talks_compressed() {
    let mut python = Command::new(installed::python_with_packages(Path::new(SCRIPTS)));
    python.arg(Path::new(SCRIPTS).join("compressed.py"));
    drive(python);
}

/// Runs a script against a server of its own, whose address is the last argument.
fn drive(mut script: Command) {
    let server = ServerProcess::start(&["--compression"]);
    script.arg(format!("ws://{}/echo", server.addr()));
    run_to_end(&mut script);
}
