//! The official client and service SDKs, unmodified, against the server: what `tests/sdk/` drives must work.
//!
//! The SDKs are installed below `target/sdk-test/` when they are missing there, in the versions that
//! `tests/sdk/package.json` and `tests/sdk/requirements.txt` name.

mod server_process;
mod token;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use server_process::ServerProcess;
use token::KEY;

/// The scripts and the lists of what they need.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn the_javascript_sdks_drive_the_server() {
    let folder = installed("node", "package.json", |folder| {
        // Without a lock file, whose addresses would be those of somebody's mirror.
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-package-lock",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]);
        run(npm.current_dir(folder));
    });
    let mut node = Command::new("node");
    node.arg(Path::new(SCRIPTS).join("javascript.mjs"))
        .arg(folder);
    drive(node);
}

#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn the_python_sdks_drive_the_server() {
    let folder = installed("python", "requirements.txt", |folder| {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(folder.join("venv")));
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "requirements.txt",
        ]);
        run(pip.current_dir(folder));
    });
    let mut python = Command::new(folder.join("venv/bin/python"));
    python.arg(Path::new(SCRIPTS).join("python.py"));
    drive(python);
}

/// Runs a script against a server of its own: the address and the access key are its last arguments.
fn drive(mut script: Command) {
    let server = ServerProcess::start(&[
        "--access-key",
        KEY,
        "--threads",
        "2",
        // So that a script can wait for a connection to be forgotten.
        "--recovery-timeout",
        "2s",
    ]);
    script.arg(format!("http://{}", server.addr())).arg(KEY);
    run(&mut script);
}

/// The folder `name` with everything installed that `list` says; `install` is called if that is not so yet.
fn installed(name: &str, list: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("sdk-test").join(name);
    let wanted = fs::read_to_string(Path::new(SCRIPTS).join(list)).unwrap();
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return folder;
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(list), &wanted).unwrap();
    install(&folder);
    fs::write(done, wanted).unwrap();
    folder
}

/// Runs a command to its end, which must be a good one; what it prints is shown if it is not.
fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    println!("{stdout}");
}
