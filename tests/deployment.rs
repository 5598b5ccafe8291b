//! What the README says about deployment, held against the binary: its flags exist, and its service starts.

mod server_process;
mod token;

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use server_process::{BINARY, ServerProcess, run, switchboard};
use switchboard::client::{ClientConfig, ClientError, Ending, Event, WebSocket};
use switchboard::proto::CloseCode;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// The README's section about deployment.
fn section() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("\n## Deploy it\n").expect("a section");
    rest.split("\n## ").next().unwrap().into()
}

/// The block of code in that section that is marked as `language`.
fn block(language: &str) -> String {
    let section = section();
    let (_, rest) = section
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("{language}"));
    rest.split("```").next().unwrap().into()
}

/// The value of the first line `key=value` or `key value` of a block.
fn value<'a>(block: &'a str, key: &str) -> &'a str {
    block
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(['=', ' ']))
        .unwrap_or_else(|| panic!("{key}"))
}

/// A folder that is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("switchboard-deployment-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_flag_and_every_variable_exists() {
    let help = run(switchboard(&["serve", "--help"])).stdout;
    let section = section();
    let words = section.split(|char: char| !char.is_ascii_alphanumeric() && !"-_".contains(char));
    let named: BTreeSet<&str> = words
        .filter(|word| word.starts_with("--") || word.starts_with("SWITCHBOARD_"))
        .collect();
    // Flags of other programs.
    let foreign = [
        "--release",
        "--no-default-features",
        "--locked",
        "--target",
        "--ulimit",
        "--time",
        "--no-cache",
        "--from",
    ];
    let unknown: Vec<_> = named
        .iter()
        .filter(|name| !foreign.contains(name))
        .filter(|name| {
            !help.contains(&format!("{name} <")) && !help.contains(&format!("env: {name}]"))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(named.len() > 8, "{named:?}");
}

#[test]
fn the_service_starts_with_the_command_that_it_names() {
    let unit = block("ini");
    let folder = Folder::new("service");
    folder.write("key", token::KEY);
    let command = value(&unit, "ExecStart")
        .replace("%d", folder.0.to_str().unwrap())
        .replace(":8080", ":0");
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/switchboard"));
    let arguments: Vec<&str> = words.collect();
    let mut command = switchboard(&arguments);
    for line in unit.lines() {
        if let Some(variable) = line.strip_prefix("Environment=") {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, value);
        }
    }
    let mut server = ServerProcess::start_command(command);
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn the_container_is_built_with_the_compiler_of_the_manifest_and_runs_as_nobody() {
    let file = block("dockerfile");
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let version = value(&manifest, "rust-version").trim_matches([' ', '=', '"']);
    assert!(file.contains(&format!("FROM rust:{version}-")), "{version}");
    let user: u32 = value(&file, "USER")
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(user > 0);
}

#[test]
#[ignore = "needs systemd-analyze, which is part of systemd"]
fn systemd_understands_the_service() {
    let folder = Folder::new("systemd");
    let unit = block("ini").replace("/usr/local/bin/switchboard", BINARY);
    let path = folder.write("switchboard.service", &unit);
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(path)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
}

#[test]
#[ignore = "needs nginx: apt-get install nginx-light"]
fn websockets_go_through_nginx_and_the_server_knows_whose_they_are() {
    let flags = ["--max-connections-per-address", "1"];
    let server = ServerProcess::start(&[&["--trusted-proxy", "127.0.0.1/32"], &flags[..]].concat());
    let folder = Folder::new("nginx");
    let proxy = Nginx::start(&folder, server.addr());
    let url = format!("ws://{}/echo", proxy.addr);
    let client = |address: &str| {
        let mut config = ClientConfig::default();
        config.fields = vec![("X-Forwarded-For".into(), address.into())];
        WebSocket::dial(&url, &config)
    };
    // The client is on the machine of the proxy, which is trusted, so that whom it claims to speak for counts.
    let mut first = client("192.0.2.1").unwrap();
    for message in ["through", "and through"] {
        first.send_text(message).unwrap();
        let event = first.next_event(Some(DEADLINE)).unwrap();
        assert_eq!(event, Some(Event::Text(message.into())));
    }
    drop(client("192.0.2.2").unwrap());
    match client("192.0.2.1") {
        Err(ClientError::Refused { status: 429, .. }) => {}
        other => panic!("a second connection of one address: {other:?}"),
    }
    first.close(CloseCode::NORMAL, "bye");
    let end = Event::Closed(Ending {
        code: Some(CloseCode::NORMAL),
        reason: String::new(),
    });
    assert_eq!(first.next_event(Some(DEADLINE)).unwrap(), Some(end));
    let end = server.logged("end id=");
    assert!(end.contains("peer=127.0.0.1"), "{end}");
}

/// A running nginx with the README's text; it is ended when this is dropped.
struct Nginx {
    child: Child,
    addr: SocketAddr,
}

impl Nginx {
    /// Starts one in front of `server`, without encryption, and waits until it listens.
    fn start(folder: &Folder, server: SocketAddr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = port.local_addr().unwrap();
        drop(port);
        let text = block("nginx")
            .replace("127.0.0.1:8080", &server.to_string())
            .replace("listen 443 ssl;", &format!("listen {addr};"));
        assert!(text.contains(&addr.to_string()) && text.contains(&server.to_string()));
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", folder.0.join(name).display()))
            .concat();
        let path = folder.write(
            "nginx.conf",
            &format!(
                "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\n{places}{text}}}\n",
                folder.0.join("pid").display()
            ),
        );
        let child = Command::new(nginx())
            .args(["-e", "stderr", "-p"])
            .arg(&folder.0)
            .arg("-c")
            .arg(path)
            .stdout(Stdio::null())
            .spawn()
            .expect("nginx");
        let mut proxy = Self { child, addr };
        let begun = Instant::now();
        while TcpStream::connect(addr).is_err() {
            assert_eq!(proxy.child.try_wait().unwrap(), None, "nginx has ended");
            assert!(begun.elapsed() < DEADLINE, "nginx does not listen");
            thread::yield_now();
        }
        proxy
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Debian puts it is not on everybody's `PATH`.
fn nginx() -> &'static Path {
    let place = Path::new("/usr/sbin/nginx");
    if place.exists() {
        place
    } else {
        Path::new("nginx")
    }
}
