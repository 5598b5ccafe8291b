//! Counts instructions under `valgrind --tool=callgrind` and compares them with a budget, so that what became slower fails
//! a build on any machine, however busy.
//!
//! ```sh
//! cargo bench --bench instructions                 # compare with benches/instructions.txt
//! cargo bench --bench instructions -- --update     # write it
//! ```
//!
//! A case is run twice, the second time with twice as many operations; the difference, divided, is what one costs,
//! without start and end. Cases of the server run the shipped binary and make sure that each message is a turn of its
//! own. Kernel time does not count: see `end_to_end` for that.

#[path = "instructions/cases.rs"]
mod cases;
#[path = "end_to_end/entrance.rs"]
mod entrance;
#[path = "end_to_end/farewell.rs"]
mod farewell;
#[path = "../tests/server_process/mod.rs"]
mod server_process;

use std::env;
use std::fs;
use std::process::{Command, ExitCode};

use clap::Parser;

use cases::{CASES, Case, Subject};
use server_process::{BINARY, ServerProcess};

/// Compares instruction counts with a budget.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Write the budget instead of keeping it
    #[arg(long)]
    update: bool,

    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,

    /// Do a case of the library and nothing else: its name
    #[arg(long, value_name = "CASE", hide = true, requires = "count")]
    run: Option<String>,

    /// How many operations
    #[arg(long, hide = true)]
    count: Option<u64>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,

    /// Accepted like everywhere; what is done is a test
    #[arg(long, hide = true)]
    test: bool,
}

const BUDGET_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

/// How far beyond its budget a case may be, in percent.
const SLACK_PERCENT: u64 = 5;

/// How often a case is counted at most.
const COUNTS_MAX: usize = 5;

fn main() -> ExitCode {
    let options = Options::parse();
    if let (Some(name), Some(count)) = (&options.run, options.count) {
        cases::run(name, count);
        return ExitCode::SUCCESS;
    }
    if !has_valgrind() {
        let is_ci = env::var_os("CI").is_some();
        eprintln!("no instructions are counted: valgrind is missing (apt-get install valgrind)");
        return if is_ci {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let counts: Vec<_> = CASES
        .iter()
        .filter(|case| case.name.contains(&options.case))
        .map(|case| (case.name, least_instructions(case)))
        .collect();
    if options.update {
        write_budget(&counts);
        return ExitCode::SUCCESS;
    }
    let excesses = counts
        .iter()
        .filter(|&&(name, count)| !keeps_budget(name, count))
        .count();
    if excesses == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Counts again what is over its budget: how many things happen in one turn of the server depends on the time, and with
/// it the cost of each. A dearer operation is dear every time.
fn least_instructions(case: &Case) -> u64 {
    let mut least = instructions(case);
    for _ in 1..COUNTS_MAX {
        if budget_of(case.name).is_none_or(|budget| is_within(budget, least)) {
            break;
        }
        least = least.min(instructions(case));
    }
    least
}

/// Instructions for one operation.
fn instructions(case: &Case) -> u64 {
    let [once, twice] = [case.count, 2 * case.count].map(|count| match case.subject {
        Subject::Library(_) => instructions_of_library(case.name, count),
        Subject::Server { flags, drive } => instructions_of_server(flags, drive, count),
    });
    (twice - once) / (case.count * case.operations)
}

fn instructions_of_library(name: &str, count: u64) -> u64 {
    let this = env::current_exe().expect("this program");
    let output = callgrind(this.to_str().expect("a plain path"))
        .args(["--run", name, "--count", &count.to_string()])
        .output()
        .expect("valgrind");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    collected(&log)
}

fn instructions_of_server(flags: &[&str], drive: cases::Drive, count: u64) -> u64 {
    let mut command = callgrind(BINARY);
    // One loop, no pings and no lines of the log, whose number depends on the time: nothing happens but what is asked for.
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--threads",
        "1",
        "--ping-interval",
        "1h",
        "--log-level",
        "error",
    ]);
    command.args(flags);
    let mut server = ServerProcess::start_command(command);
    drive(server.addr(), count);
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.log());
    collected(&server.log())
}

fn callgrind(program: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        program,
    ]);
    command
}

/// The count in what callgrind says at the end.
fn collected(log: &str) -> u64 {
    let line = log.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("callgrind has counted nothing:\n{log}"))
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Says what a case costs; whether that is within its budget.
fn keeps_budget(name: &str, count: u64) -> bool {
    let budget = budget_of(name);
    let Some(budget) = budget else {
        println!("{name}: {count} instructions, and no budget: run with --update");
        return false;
    };
    let is_kept = is_within(budget, count);
    let verdict = if !is_kept {
        "too many"
    } else if count * (100 + SLACK_PERCENT) < budget * 100 {
        "fewer than before: lower the budget with --update"
    } else {
        "as before"
    };
    println!("{name}: {count} instructions, budget {budget}: {verdict}");
    is_kept
}

fn is_within(budget: u64, count: u64) -> bool {
    count * 100 <= budget * (100 + SLACK_PERCENT)
}

fn budget_of(name: &str) -> Option<u64> {
    let text = fs::read_to_string(BUDGET_FILE).ok()?;
    text.lines().find_map(|line| {
        let (count, case) = line.trim().split_once(' ')?;
        (case.trim() == name).then_some(count.parse().ok()?)
    })
}

/// Writes what was counted, and leaves the lines of other cases as they are.
fn write_budget(counts: &[(&str, u64)]) {
    let mut text = String::from(
        "# Instructions for one operation, counted by `cargo bench --bench instructions -- --update`.\n",
    );
    for case in CASES {
        let counted = counts.iter().find(|(name, _)| *name == case.name);
        if let Some(count) = counted
            .map(|&(_, count)| count)
            .or_else(|| budget_of(case.name))
        {
            text.push_str(&format!("{count:>7} {}\n", case.name));
        }
    }
    print!("{text}");
    fs::write(BUDGET_FILE, text).expect("write the budget");
}
