//! The Autobahn|Testsuite, all sections, against `/echo` of the binary (`cargo test --release -- --ignored`).
//!
//! The suite runs on Python and is not part of this package: a folder with `install.sh DIR`, which makes an
//! environment for it in DIR (or leaves it as it is), and `autobahn.py`, which runs it and judges its report.
//! `SWITCHBOARD_AUTOBAHN` names the folder; without it, `../shared/conformance` is taken.

mod server_process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use server_process::ServerProcess;

/// Sections that are not run: those about compression, if it is not there.
const EXCLUDED_SECTIONS: &[&str] = if cfg!(feature = "deflate") {
    &[]
} else {
    &["12", "13"]
};

#[test]
#[ignore = "needs the Autobahn suite: set SWITCHBOARD_AUTOBAHN to the folder of its install.sh and autobahn.py"]
fn every_case_of_the_autobahn_suite_passes() {
    let suite = suite_folder();
    // Below target, so that the environment is made once and goes away with what cargo builds.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("autobahn");
    let (environment, reports) = (target.join("venv"), target.join("reports"));
    fs::create_dir_all(&reports).unwrap();
    let installed = Command::new("sh")
        .arg(suite.join("install.sh"))
        .arg(&environment)
        .status();
    assert!(
        installed.expect("sh").success(),
        "the suite could not be installed"
    );

    // The suite sends up to 16 MiB at once; nothing else differs from the defaults.
    let flags = [
        #[cfg(feature = "deflate")]
        "--compression",
        "--max-message",
        "17MiB",
        "--max-outbox",
        "64MiB",
        "--log-level",
        "off",
    ];
    let server = ServerProcess::start(&flags);
    let mut run = Command::new(environment.join("bin/python"));
    run.arg(suite.join("autobahn.py"))
        .arg("--venv")
        .arg(&environment)
        .arg("--out")
        .arg(&reports);
    for section in EXCLUDED_SECTIONS {
        run.args(["--exclude", section]);
    }
    run.arg(format!("ws://{}/echo", server.addr()));
    // Its output goes to ours: the table of sections, and every case that is not OK.
    let verdict = run.status().expect("python");
    assert!(
        verdict.success(),
        "cases failed, see {}",
        reports.join("index.html").display()
    );
}

/// Where the suite is; a missing one is a failure, since this test runs only if it is asked for.
fn suite_folder() -> PathBuf {
    let beside_us = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    let folder = env::var_os("SWITCHBOARD_AUTOBAHN").map_or_else(beside_us, PathBuf::from);
    let folder = folder.canonicalize().unwrap_or(folder);
    assert!(
        folder.join("install.sh").exists() && folder.join("autobahn.py").exists(),
        "no suite in {}: set SWITCHBOARD_AUTOBAHN",
        folder.display()
    );
    folder
}
