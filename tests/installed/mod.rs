//! Packages of npm and pip for tests that need them, installed below `target/` when they are missing there, in the
//! versions that a list in the repository names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The folder with all packages of `scripts`/package.json.
pub(crate) fn npm_packages(scripts: &Path) -> PathBuf {
    installed(scripts, "node", "package.json", |folder| {
        // Without a lock file, whose addresses would be those of somebody's mirror.
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-package-lock",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]);
        run_to_end(npm.current_dir(folder));
    })
}

/// The interpreter that has all packages of `scripts`/requirements.txt.
pub(crate) fn python_with_packages(scripts: &Path) -> PathBuf {
    let folder = installed(scripts, "python", "requirements.txt", |folder| {
        run_to_end(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(folder.join("venv")),
        );
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "requirements.txt",
        ]);
        run_to_end(pip.current_dir(folder));
    });
    folder.join("venv/bin/python")
}

/// Runs a command to its end, which must be a good one; what it prints is shown if it is not.
pub(crate) fn run_to_end(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    println!("{stdout}");
}

/// No two tests of a binary install the same, or have scripts with deadlines run beside each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of that name with everything installed that `list` says; `install` is called if that is not so yet.
fn installed(scripts: &Path, name: &str, list: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let _alone = alone();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let suite = scripts.file_name().unwrap().to_string_lossy();
    let folder = target.join(format!("{suite}-test")).join(name);
    let wanted = fs::read_to_string(scripts.join(list)).unwrap();
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
