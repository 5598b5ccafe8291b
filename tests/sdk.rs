//! The official client and service SDKs, unmodified, against the server: what `tests/sdk/` drives must
//! work, compressed for those that ask for it.
//!
//! The SDKs are installed below `target/sdk-test/` when they are missing there, in the versions that
//! `tests/sdk/package.json` and `tests/sdk/requirements.txt` name.

#[cfg(feature = "tls")]
#[path = "tls/authority.rs"]
mod authority;
mod installed;
mod server_process;
mod token;

use std::path::Path;
use std::process::Command;

#[cfg(feature = "tls")]
use authority::Authority;
use installed::run_to_end;
use server_process::ServerProcess;
use token::KEY;

/// The scripts and the lists of what they need.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn the_javascript_sdks_drive_the_server() {
    let folder = installed::npm_packages(Path::new(SCRIPTS));
    let mut node = Command::new("node");
    node.arg(Path::new(SCRIPTS).join("javascript.mjs"))
        .arg(folder);
    drive(node);
}

#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn the_python_sdks_drive_the_server() {
    let mut python = Command::new(installed::python_with_packages(Path::new(SCRIPTS)));
    python.arg(Path::new(SCRIPTS).join("python.py"));
    drive(python);
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn the_javascript_sdks_drive_the_server_encrypted() {
    let authority = Authority::new("sdk_javascript");
    let folder = installed::npm_packages(Path::new(SCRIPTS));
    let mut node = Command::new("node");
    node.env("NODE_EXTRA_CA_CERTS", authority.path("ca.pem"))
        .arg(Path::new(SCRIPTS).join("javascript.mjs"))
        .arg(folder);
    drive_at("https", &authority.flags(), node);
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn the_python_sdks_drive_the_server_encrypted() {
    let authority = Authority::new("sdk_python");
    let ca = authority.path("ca.pem");
    let mut python = Command::new(installed::python_with_packages(Path::new(SCRIPTS)));
    // Each of the libraries below has a variable of its own.
    for name in [
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "WEBSOCKET_CLIENT_CA_BUNDLE",
    ] {
        python.env(name, &ca);
    }
    python.arg(Path::new(SCRIPTS).join("python.py"));
    drive_at("https", &authority.flags(), python);
}

/// Runs a script against a server of its own: the address and the access key are its last arguments.
fn drive(script: Command) {
    drive_at("http", &[], script);
}

/// The same against one with more flags, which is to be called by this scheme.
fn drive_at(scheme: &str, flags: &[String], mut script: Command) {
    let own: &[&str] = &[
        #[cfg(feature = "deflate")]
        "--compression",
        "--access-key",
        KEY,
        "--threads",
        "2",
        // So that a script can wait for a connection to be forgotten.
        "--recovery-timeout",
        "2s",
    ];
    let flags: Vec<_> = own
        .iter()
        .copied()
        .chain(flags.iter().map(String::as_str))
        .collect();
    let _alone = installed::alone();
    let server = ServerProcess::start(&flags);
    script.arg(format!("{scheme}://{}", server.addr())).arg(KEY);
    run_to_end(&mut script);
}
