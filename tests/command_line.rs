//! The command line as a contract: first line, exit codes, flags, environment, signals.

mod peer;
mod server_process;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use peer::{DEADLINE, Peer, http, opcode};
use server_process::{BINARY, Ended, ServerProcess, run, switchboard, without_settings};

/// Runs a command that must be refused: nothing on standard output, one line on standard error; that line.
fn refusal(command: Command, code: i32) -> String {
    let Ended {
        code: actual,
        stdout,
        stderr,
    } = run(command);
    assert_eq!(actual, Some(code), "{stderr}");
    assert_eq!(stdout, "");
    let line = stderr
        .strip_prefix("switchboard: ")
        .unwrap_or_else(|| panic!("{stderr}"));
    let line = line.strip_suffix('\n').unwrap();
    assert!(!line.is_empty() && !line.contains('\n'), "{stderr}");
    line.to_owned()
}

/// What help says, all blanks alike so that it does not matter where it breaks lines.
fn help(arguments: &[&str]) -> String {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(switchboard(arguments));
    assert_eq!((code, &*stderr), (Some(0), ""));
    stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_line_has_the_real_port_and_the_server_answers_there() {
    let server = ServerProcess::start(&[]);
    assert_ne!(server.addr().port(), 0);
    Peer::connect(server.addr(), "/echo").expect_echo();
}

#[test]
fn the_binary_alone_serves() {
    let mut command = switchboard(&[]);
    command.env("SWITCHBOARD_LISTEN", "127.0.0.1:0");
    let server = ServerProcess::start_command(command);
    Peer::connect(server.addr(), "/echo").expect_echo();
}

#[test]
fn every_address_gets_a_line_and_is_served() {
    let mut command = switchboard(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.args(["--drain", "1s"]);
    let mut server = ServerProcess::start_command(command);
    let second = server.next_line();
    let addr = second
        .strip_prefix("listening on http://")
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(server.addr(), addr);
    Peer::connect(server.addr(), "/echo").expect_echo();
    Peer::connect(addr, "/echo").expect_echo();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn lists_in_the_environment_are_separated_by_commas() {
    let mut command = switchboard(&["serve"]);
    command.env("SWITCHBOARD_LISTEN", "127.0.0.1:0,127.0.0.1:0");
    let mut server = ServerProcess::start_command(command);
    assert!(
        server
            .next_line()
            .starts_with("listening on http://127.0.0.1:")
    );
}

#[test]
fn lt_02_unknown_flags_and_bad_values_are_refused_in_one_line() {
    for (arguments, names) in [
        (&["serve", "--max-mesage", "1KiB"][..], "--max-mesage"),
        (&["serve", "--max-message", "much"], "--max-message"),
        (&["serve", "--max-message"], "--max-message"),
        (&["serve", "--drain", "10"], "--drain"),
        (&["serve", "--threads", "-1"], "-1"),
        (&["serve", "--listen", "localhost"], "--listen"),
        (&["serve", "--log-level", "loud"], "--log-level"),
        (&["serve", "--threads", "1", "--threads", "2"], "--threads"),
        (&["serve", "surplus"], "surplus"),
        (&["sevre"], "sevre"),
        (
            &["serve", "--allow-origin", "not an origin"],
            "not an origin",
        ),
        (&["serve", "--policy", "room=keep"], "room=keep"),
        (&["serve", "--policy", "a=latest,=close"], "'=close'"),
    ] {
        let line = refusal(switchboard(arguments), 2);
        assert!(line.contains(names), "{arguments:?}: {line}");
    }
}

#[test]
fn lt_02_contradictions_and_zeros_are_refused_in_one_line() {
    for (arguments, says) in [
        (
            &["--ping-interval", "10s", "--ping-timeout", "10s"][..],
            "ping timeout",
        ),
        (&["--max-message", "4MiB", "--max-outbox", "4MiB"], "outbox"),
        (&["--max-head", "1KiB", "--max-target", "2KiB"], "target"),
        (&["--max-connections", "0"], "connections"),
        (&["--max-fragments", "0"], "fragments"),
        (&["--threads", "0"], "event loops"),
        (&["--threads", "257"], "event loops"),
        (&["--write-timeout", "0s"], "write timeout"),
        (&["--read-budget", "0"], "read budget"),
        (&["--drain", "1000000 years"], "drain"),
    ] {
        let line = refusal(switchboard(&[&["serve"], arguments].concat()), 2);
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
}

#[test]
fn ac_10_other_machines_are_served_only_if_somebody_says_so() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let line = refusal(switchboard(&["serve", "--listen", addr]), 2);
        assert!(
            line.contains(addr) && line.contains("--anonymous"),
            "{line}"
        );
    }
    let line = refusal(
        switchboard(&["serve", "--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0"]),
        2,
    );
    assert!(line.contains("0.0.0.0:0"), "{line}");

    let mut server = ServerProcess::start_command(switchboard(&[
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--anonymous",
    ]));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        server.log().matches("serves everyone").count(),
        1,
        "{}",
        server.log()
    );
}

#[test]
fn sd_05_a_port_that_is_taken_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let line = refusal(switchboard(&["serve", "--listen", &addr]), 1);
    assert!(line.contains(&addr), "{line}");
}

#[test]
fn sd_05_a_port_can_be_used_again_at_once() {
    let first = ServerProcess::start(&[]);
    let addr = first.addr().to_string();
    let mut peer = Peer::connect(first.addr(), "/echo");
    peer.expect_echo();
    // Killed while a connection is open, so that the port is left in every state there is.
    drop(first);
    for _ in 0..3 {
        let server = ServerProcess::start_command(switchboard(&["serve", "--listen", &addr]));
        Peer::connect(server.addr(), "/echo").expect_echo();
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_default() {
    let max_message = |flag: &[&str], variable: &str| {
        let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(flag).env("SWITCHBOARD_MAX_MESSAGE", variable);
        let server = ServerProcess::start_command(command);
        let mut peer = Peer::connect(server.addr(), "/echo");
        // Its header is enough: lengths are judged before payload comes.
        let sizes = [100_u64, 1000, 1 << 20];
        sizes.into_iter().find(|&size| {
            let len = usize::try_from(size).unwrap();
            peer.send_binary(&vec![7; len + 1]);
            let frame = peer.next_frame();
            if frame.opcode == opcode::CLOSE {
                assert_eq!(frame.close_code(), Some(1009));
                return true;
            }
            false
        })
    };
    assert_eq!(max_message(&["--max-message", "100"], "1000"), Some(100));
    assert_eq!(max_message(&[], "1000"), Some(1000));
    assert_eq!(
        max_message(&[], ""),
        Some(1 << 20),
        "an empty variable counts as unset"
    );
}

#[test]
fn switches_can_be_set_in_the_environment() {
    for (value, status) in [("true", 404), ("1", 404), ("no", 426), ("", 426)] {
        let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("SWITCHBOARD_NO_ECHO", value);
        let server = ServerProcess::start_command(command);
        let request = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(http(server.addr(), request).1.status, status, "{value:?}");
    }
    let mut command = switchboard(&["serve"]);
    command.env("SWITCHBOARD_NO_ECHO", "perhaps");
    assert!(refusal(command, 2).contains("--no-echo"));
}

#[test]
fn bad_values_in_the_environment_are_refused_in_one_line() {
    let mut command = switchboard(&[]);
    command.env("SWITCHBOARD_DRAIN", "soon");
    assert!(refusal(command, 2).contains("--drain"));
}

#[test]
fn variables_that_are_no_setting_are_pointed_out() {
    let mut command = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("SWITCHBOARD_MAX_MESAGE", "1KiB");
    let mut server = ServerProcess::start_command(command);
    server.signal("TERM");
    server.wait();
    assert!(
        server.log().contains("SWITCHBOARD_MAX_MESAGE"),
        "{}",
        server.log()
    );
}

#[test]
fn what_shells_run_when_they_start_says_nothing_of_variables_that_it_does_not_read() {
    for arguments in [&["completions", "bash"][..], &["man"]] {
        let mut command = switchboard(arguments);
        command.env("SWITCHBOARD_MAX_MESAGE", "1KiB");
        let ended = run(command);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn help_lists_every_limit_with_its_unit_its_variable_and_its_default() {
    let help = help(&["serve", "--help"]);
    for (flag, unit, default) in [
        ("listen", "ADDR", "127.0.0.1:8080"),
        ("log-level", "LEVEL", "info"),
        ("max-message", "SIZE", "1MiB"),
        ("max-fragments", "COUNT", "131072"),
        ("max-outbox", "SIZE", "4MiB"),
        ("max-connections", "COUNT", "100000"),
        ("max-groups", "COUNT", "128"),
        ("max-group-name", "SIZE", "128"),
        ("max-head", "SIZE", "16KiB"),
        ("max-target", "SIZE", "8000"),
        ("max-fields", "COUNT", "100"),
        ("max-body", "SIZE", "1MiB"),
        ("max-http-requests", "COUNT", "1000"),
        ("handshake-timeout", "TIME", "10s"),
        ("http-idle-timeout", "TIME", "30s"),
        ("message-timeout", "TIME", "1m"),
        ("write-timeout", "TIME", "10s"),
        ("ping-interval", "TIME", "25s"),
        ("ping-timeout", "TIME", "10s"),
        ("close-timeout", "TIME", "5s"),
        ("linger-timeout", "TIME", "2s"),
        ("drain", "TIME", "10s"),
        ("read-budget", "SIZE", "128KiB"),
        ("write-budget", "SIZE", "256KiB"),
        ("accept-budget", "COUNT", "64"),
        ("letter-budget", "COUNT", "1024"),
    ] {
        let variable = format!("SWITCHBOARD_{}", flag.to_uppercase().replace('-', "_"));
        let begin = help
            .find(&format!(" --{flag} <{unit}> "))
            .unwrap_or_else(|| panic!("{flag}"));
        let text = &help[begin..];
        let ending = format!("[env: {variable}] [default: {default}]");
        let end = text
            .find(&ending)
            .unwrap_or_else(|| panic!("{flag}: {ending}"));
        assert!(!text[1..end].contains(" --"), "{flag}: {}", &text[..end]);
    }
    for flag in [
        "--threads <COUNT>",
        "--anonymous",
        "--allow-origin <ORIGIN>",
        "--policy <PATTERN=POLICY>",
        "--no-echo",
        #[cfg(feature = "deflate")]
        "--compression",
        #[cfg(feature = "deflate")]
        "--uncompressed <PATTERN>",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn a_slip_of_the_pen_gets_a_tip() {
    for (arguments, tip) in [
        (&["sevre"][..], "'serve'"),
        (&["snd", "x"], "'send'"),
        (&["send", "--grop", "a", "x"], "'--group'"),
        (&["tail", "--jsn"], "'--json'"),
        (&["completions", "bsh"], "'bash'"),
        (&["serve", "--log-level", "wran"], "'warn'"),
    ] {
        let line = refusal(switchboard(arguments), 2);
        assert!(
            line.contains("tip: ") && line.contains(tip),
            "{arguments:?}: {line}"
        );
    }
}

/// Runs bash; what it writes.
fn bash(script: &str, argument: &str) -> String {
    let mut command = without_settings(Command::new("bash"));
    command.args(["--norc", "-euc", script, "bash", argument]);
    let Ended {
        code,
        stdout,
        stderr,
    } = run(command);
    assert_eq!((code, &*stderr), (Some(0), ""), "{script}");
    stdout
}

#[test]
fn the_completions_are_a_script_for_every_shell_and_bash_completes_with_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Ended {
            code,
            stdout,
            stderr,
        } = run(switchboard(&["completions", shell]));
        assert_eq!((code, &*stderr), (Some(0), ""), "{shell}");
        for word in ["serve", "send", "access-key-file", "max-message"] {
            assert!(stdout.contains(word), "{shell}: {word}");
        }
    }
    for (typed, completed) in [
        ("se", "serve\nsend\n"),
        ("tail --his", "--history\n"),
        ("completions ba", "bash\n"),
        ("serve --log-level de", "debug\n"),
    ] {
        let script = "source <(\"$1\" completions bash)\n\
             COMP_WORDS=(switchboard TYPED); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()\n\
             _switchboard switchboard \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"\n\
             printf '%s\\n' \"${COMPREPLY[@]}\"";
        assert_eq!(
            bash(&script.replace("TYPED", typed), BINARY),
            completed,
            "{typed}"
        );
    }
    bash("bash -n <(\"$1\" completions bash)", BINARY);
}

#[test]
fn the_manual_is_a_page_and_a_full_disk_is_told() {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(switchboard(&["man"]));
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(stdout.contains(".TH switchboard 1"), "{stdout}");
    assert!(stdout.contains(".SH SWITCHBOARD SERVE"));
    for command in ["man", "completions bash"] {
        let script = format!("exec \"$0\" {command} >/dev/full");
        let mut shell = without_settings(Command::new("sh"));
        shell.args(["-c", &script, BINARY]);
        let line = refusal(shell, 1);
        assert!(line.starts_with("standard output: "), "{line}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    assert!(help(&["--help"]).contains("serve"));
    assert!(help(&["help", "serve"]).contains("--listen"));
    assert_eq!(
        help(&["--version"]),
        concat!("switchboard ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn sd_01_sigterm_and_sigint_end_the_server_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let mut server = ServerProcess::start(&[]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn lg_04_a_full_disk_below_the_log_ends_no_loop() {
    let mut shell = Command::new("sh");
    let script = "exec \"$0\" serve --listen 127.0.0.1:0 --threads 1 --log-level trace 2>/dev/full";
    shell.args(["-c", script, BINARY]);
    let server = ServerProcess::start_command(shell);
    for _ in 0..20 {
        Peer::connect(server.addr(), "/echo").expect_echo();
    }
}

#[test]
fn lg_04_the_server_serves_although_nobody_can_read_its_first_line() {
    // The port cannot be read, so it is one that was free just now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    for output in ["/dev/full", "&-"] {
        let script = format!("exec \"$0\" serve --listen {addr} >{output}");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script, BINARY])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let mut child = KilledOnDrop(shell.spawn().unwrap());
        connect_when_listening(addr, &mut child).expect_echo();
    }
}

/// A child that is no [`ServerProcess`] because it has no first line.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens a WebSocket on a server that cannot say when it listens.
fn connect_when_listening(addr: SocketAddr, server: &mut KilledOnDrop) -> Peer {
    let deadline = Instant::now() + DEADLINE;
    while TcpStream::connect_timeout(&addr, DEADLINE).is_err() {
        assert!(Instant::now() < deadline, "nobody listens");
        assert_eq!(server.0.try_wait().unwrap(), None, "the server has ended");
        thread::yield_now();
    }
    Peer::connect(addr, "/echo")
}

#[test]
fn lt_01_the_start_says_who_is_let_in_and_no_secret() {
    let key = "planted-secret-of-more-than-32-bytes";
    let flags = [
        "--access-key",
        key,
        "--rest-rate",
        "off",
        "--allow-host",
        "a,b",
        "--history",
        "r=5",
    ];
    let server = ServerProcess::start(&flags);
    let access = server.logged("settings for access: ");
    assert!(access.contains("access keys 1, "), "{access}");
    assert!(
        access.contains(
            "hosts 2, trusted proxies none, rate of services off, failed log-ins in a minute 30"
        ),
        "{access}"
    );
    let history = server.logged("settings for history: ");
    assert!(
        history.ends_with("patterns 1, size limit of a group 256KiB, limit of groups 1000"),
        "{history}"
    );
    assert!(!server.log().contains("planted"));
}
