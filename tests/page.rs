//! The chat page in real Chromium: two people and a restart of the server (`tests/page/driver.mjs`).
//!
//! `SWITCHBOARD_CHROMIUM` names the browser; without it, `/usr/bin/chromium` is taken.

#[cfg(feature = "tls")]
#[path = "tls/authority.rs"]
mod authority;
mod server_process;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use server_process::{ServerProcess, switchboard};

/// The driver and what it needs.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page");

/// A browser asks for compression, and gets it.
const FLAGS: &[&str] = &[
    #[cfg(feature = "deflate")]
    "--compression",
    "--log-level",
    "warn",
];

#[test]
#[ignore = "needs node, npm and Chromium: apt-get install chromium; npm is run by the test in target/"]
fn two_people_talk_on_the_page_and_survive_a_restart() {
    drive("http", &[]);
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs node, npm and Chromium: apt-get install chromium; npm is run by the test in target/"]
fn two_people_talk_on_the_page_encrypted_and_survive_a_restart() {
    let authority = authority::Authority::new("page");
    drive("https", &authority.flags());
}

/// Has them talk on a page that comes by this scheme, from a server with these flags.
fn drive(scheme: &str, flags: &[String]) {
    // Two browsers, installed at the same time, would be in each other's way.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = install_playwright();
    let mut server = Some(start("127.0.0.1:0", flags));
    let addr = server.as_ref().unwrap().addr();
    let mut driver = Command::new("node")
        .arg(Path::new(SOURCES).join("driver.mjs"))
        .arg(format!("{scheme}://{addr}/"))
        .arg(env::var_os("SWITCHBOARD_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into()))
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let mut replies = driver.stdin.take().unwrap();
    // The driver has a deadline of its own, after which its output ends.
    let requests = BufReader::new(driver.stdout.take().unwrap()).lines();
    for request in requests.map_while(Result::ok) {
        match request.as_str() {
            "stop" => server = None,
            "start" => server = Some(start(&addr.to_string(), flags)),
            _ => panic!("the driver asks for {request}"),
        }
        writeln!(replies, "done").expect("a driver that waits");
    }
    let verdict = driver.wait().unwrap();
    assert!(verdict.success(), "the driver has said why");
    drop(server);
}

/// A server at this address; where another one was, pages find it again.
fn start(listen: &str, flags: &[String]) -> ServerProcess {
    let mut command = switchboard(&["serve", "--listen", listen]);
    command.args(FLAGS).args(flags);
    ServerProcess::start_command(command)
}

/// The folder with the pinned playwright-core: below target, so that it is fetched once and goes with what cargo builds.
fn install_playwright() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("page-test");
    fs::create_dir_all(&folder).unwrap();
    let lock = "package-lock.json";
    let wanted = fs::read(Path::new(SOURCES).join(lock)).unwrap();
    // The lock is copied last, so that it is there only if what it names is.
    if fs::read(folder.join(lock)).is_ok_and(|present| present == wanted) {
        return folder;
    }
    let staging = folder.join("staging");
    fs::create_dir_all(&staging).unwrap();
    for name in ["package.json", lock] {
        fs::copy(Path::new(SOURCES).join(name), staging.join(name)).unwrap();
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&staging)
        .status();
    assert!(
        npm.expect("npm").success(),
        "playwright-core could not be installed"
    );
    let modules = folder.join("node_modules");
    if modules.exists() {
        fs::remove_dir_all(&modules).unwrap();
    }
    fs::rename(staging.join("node_modules"), modules).unwrap();
    for name in ["package.json", lock] {
        fs::copy(staging.join(name), folder.join(name)).unwrap();
    }
    folder
}
