//! The REST data plane over real sockets: every row of its table, its faults, and what they must not do.

mod peer;
mod server_process;
mod token;

use std::net::SocketAddr;
use std::time::Duration;

use peer::Peer;
use peer::response::Response;
use serde_json::{Value, json};
use server_process::ServerProcess;
use token::{KEY, hub_path, mint_with, now, token_for};

const JSON: &str = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n";

const RELIABLE: &str = "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1\r\n";

/// A server with three loops and the access key.
fn guarded() -> ServerProcess {
    ServerProcess::start(&["--access-key", KEY, "--threads", "3"])
}

/// A service that shares the access key, on one connection.
struct Service {
    peer: Peer,
    server: SocketAddr,
}

impl Service {
    fn new(server: &ServerProcess) -> Self {
        Self {
            peer: Peer::open(server.addr()),
            server: server.addr(),
        }
    }

    /// A request in full: below `/api/hubs/chat`, with a token for its URL, a body and its type.
    fn request(&self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let target = format!("/api/hubs/chat{target}");
        let token = token_for(self.server, &target, &json!({}));
        let fields = format!("Authorization: Bearer {token}\r\nContent-Type: {content_type}\r\n");
        raw(self.server, method, &target, &fields, body)
    }

    fn send(&mut self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Response {
        let request = self.request(method, target, content_type, body);
        self.peer.send_raw(&request);
        if method == "HEAD" {
            self.peer.next_head()
        } else {
            self.next_response(target)
        }
    }

    /// The status of a request without a body.
    fn ask(&mut self, method: &str, target: &str) -> u16 {
        self.send(method, target, "", b"").status
    }

    /// Sends text, which must be accepted; how many got it.
    fn post(&mut self, target: &str, text: &str) -> String {
        let response = self.send("POST", target, "text/plain", text.as_bytes());
        assert_eq!(response.status, 202, "{target}");
        assert!(response.body.is_empty());
        response.field("switchboard-recipients").unwrap().to_owned()
    }

    /// The next response; one of 204 has neither body nor length.
    fn next_response(&mut self, what: &str) -> Response {
        let mut response = self.peer.next_head();
        if response.status != 204 {
            let len = response
                .field("content-length")
                .unwrap_or_else(|| panic!("{what}"))
                .parse()
                .unwrap();
            response.body = self.peer.next_bytes(len);
        }
        response
    }
}

/// A request with some fields, each ended by CR LF.
fn raw(addr: SocketAddr, method: &str, target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {addr}\r\n{fields}Content-Length: {len}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A client of the hub `chat` and its connection id.
fn client(server: &ServerProcess, user: &str) -> (Peer, String) {
    let mut peer = Peer::connect_with(server.addr(), &hub_path(server.addr(), "chat", user), JSON);
    let connected = peer.next_json();
    (peer, connected["connectionId"].as_str().unwrap().to_owned())
}

fn join(peer: &mut Peer, group: &str) {
    peer.send_json(&json!({"type": "joinGroup", "group": group, "ackId": 1_000_000}));
    assert_eq!(peer.next_json()["success"], true);
}

/// Proves that nothing has come since.
fn expect_nothing(peer: &mut Peer) {
    peer.send_json(&json!({"type": "ping"}));
    assert_eq!(peer.next_json(), json!({"type": "pong"}));
}

fn code(response: &Response) -> Value {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.field("x-ms-error-code"), body["code"].as_str());
    assert!(body["message"].is_string(), "{body}");
    body["code"].clone()
}

#[test]
fn a_service_sends_to_all_to_a_user_to_a_group_and_to_a_connection() {
    let server = guarded();
    let mut service = Service::new(&server);
    let clients = ["ann", "bob/é", "eve"].map(|user| client(&server, user));
    let [ann_id, ben_id, _] = clients.each_ref().map(|(_, id)| id.clone());
    let mut peers = clients.map(|(peer, _)| peer);
    join(&mut peers[1], "room 1");
    for (target, text, receivers) in [
        ("/:send", "all", &[0, 1, 2][..]),
        (
            "/users/bob%2F%C3%A9/:send?api-version=2024-12-01",
            "user",
            &[1],
        ),
        ("/users/nobody/:send", "nobody", &[]),
        ("/groups/room%201/:send?messageTtlSeconds=60", "group", &[1]),
        ("/groups/empty/:send", "nobody", &[]),
        (&format!("/connections/{ann_id}/:send"), "connection", &[0]),
        ("/connections/nobody/:send", "nobody", &[]),
        (
            &format!("/:send?excluded={ann_id}&excluded={ben_id}&excluded=x"),
            "others",
            &[2],
        ),
    ] {
        assert_eq!(
            service.post(target, text),
            receivers.len().to_string(),
            "{target}"
        );
        for &receiver in receivers {
            let message = peers[receiver].next_json();
            assert_eq!(
                (&message["data"], &message["dataType"]),
                (&json!(text), &json!("text"))
            );
            let from = if text == "group" {
                ("group", json!("room 1"))
            } else {
                ("server", Value::Null)
            };
            assert_eq!(
                (message["from"].as_str().unwrap(), message["group"].clone()),
                from
            );
            assert_eq!(message["fromUserId"], Value::Null);
        }
    }
    for peer in &mut peers {
        expect_nothing(peer);
    }
}

#[test]
fn ms_03_json_text_and_bytes_reach_clients_of_both_kinds() {
    let server = guarded();
    let mut service = Service::new(&server);
    let (mut json_client, _) = client(&server, "ann");
    let mut plain = Peer::connect(server.addr(), &hub_path(server.addr(), "chat", "ben"));
    for (content_type, body, data_type, data) in [
        (
            "application/json",
            &br#"{"b": 1.0, "a": [null]}"#[..],
            "json",
            json!({"b": 1.0, "a": [null]}),
        ),
        (
            "text/plain; charset=UTF-8",
            "ö\"\n".as_bytes(),
            "text",
            json!("ö\"\n"),
        ),
        (
            "application/octet-stream",
            &[0, 255, 1],
            "binary",
            json!("AP8B"),
        ),
    ] {
        let response = service.send("POST", "/:send", content_type, body);
        assert_eq!(response.field("switchboard-recipients"), Some("2"));
        assert_eq!(response.field("switchboard-dropped"), Some("0"));
        let message = json_client.next_json();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!(data_type), &data)
        );
        assert_eq!(plain.next_message().payload, body);
    }
}

#[test]
fn existence_is_200_or_404() {
    let server = guarded();
    let mut service = Service::new(&server);
    // On both loops, so that one of them is not the one that is asked.
    let mut peers = ["ann", "ben"].map(|user| client(&server, user));
    for ((peer, id), user) in peers.iter_mut().zip(["ann", "ben"]) {
        join(peer, user);
        for target in [
            format!("/connections/{id}"),
            format!("/users/{user}"),
            format!("/groups/{user}"),
        ] {
            assert_eq!(service.ask("HEAD", &target), 200, "{target}");
        }
    }
    let id = peers[0].1.clone();
    for target in ["/connections/x", "/users/x", "/groups/x"] {
        assert_eq!(service.ask("HEAD", target), 404, "{target}");
    }
    for (mut peer, _) in peers {
        peer.send_close(1000, "");
        peer.expect_close(1000);
        peer.expect_eof();
    }
    for target in [
        format!("/connections/{id}"),
        "/users/ann".into(),
        "/groups/ben".into(),
    ] {
        assert_eq!(service.ask("HEAD", &target), 404, "{target}");
    }
}

#[test]
fn connections_are_closed_with_a_reason() {
    let server = guarded();
    let mut service = Service::new(&server);
    let [(mut ann, ann_id), (mut ben, ben_id), (mut eve, _)] =
        ["ann", "ben", "eve"].map(|user| client(&server, user));
    let mut plain = Peer::connect(server.addr(), &hub_path(server.addr(), "chat", "eve"));
    let expect_closed = |peer: &mut Peer, reason: &str| {
        let told = json!({"type": "system", "event": "disconnected", "message": reason});
        assert_eq!(peer.next_json(), told);
        assert_eq!(peer.expect_close(1000), reason);
        peer.send_close(1000, "");
        peer.expect_eof();
    };
    assert_eq!(
        service.ask(
            "DELETE",
            &format!("/connections/{ann_id}?reason=go%20away%21")
        ),
        204
    );
    expect_closed(&mut ann, "go away!");
    assert_eq!(
        service.ask("DELETE", &format!("/connections/{ann_id}")),
        204,
        "it is gone"
    );
    assert_eq!(service.ask("HEAD", &format!("/connections/{ann_id}")), 404);
    assert_eq!(
        service.ask("POST", "/users/eve/:closeConnections?reason=r"),
        204
    );
    expect_closed(&mut eve, "r");
    assert_eq!(plain.expect_close(1000), "r");
    join(&mut ben, "room");
    assert_eq!(
        service.ask(
            "POST",
            &format!("/groups/room/:closeConnections?excluded={ben_id}")
        ),
        204
    );
    expect_nothing(&mut ben);
    let (mut late, _) = client(&server, "late");
    assert_eq!(
        service.ask("POST", &format!("/:closeConnections?excluded={ben_id}")),
        204
    );
    expect_closed(&mut late, "closed by the service");
    assert_eq!(service.ask("POST", "/groups/room/:closeConnections"), 204);
    expect_closed(&mut ben, "closed by the service");
}

#[test]
fn memberships_change_at_once_and_the_client_can_change_them_back() {
    let server = guarded();
    let mut service = Service::new(&server);
    let [(mut ann, ann_id), (mut twin, _)] = ["ann", "ann"].map(|user| client(&server, user));
    let id = ann_id;
    let recipients = |service: &mut Service| service.post("/groups/room/:send", "x");
    assert_eq!(
        service.ask("PUT", &format!("/groups/room/connections/{id}")),
        200
    );
    assert_eq!(
        service.ask("PUT", &format!("/groups/room/connections/{id}")),
        200
    );
    assert_eq!(recipients(&mut service), "1");
    assert_eq!(ann.next_json()["data"], "x");
    assert_eq!(
        service.ask("DELETE", &format!("/groups/room/connections/{id}")),
        204
    );
    assert_eq!(recipients(&mut service), "0");
    for method in ["PUT", "DELETE"] {
        assert_eq!(service.ask(method, "/groups/room/connections/nobody"), 404);
    }

    assert_eq!(service.ask("PUT", "/users/ann/groups/room"), 200);
    assert_eq!(service.ask("PUT", "/users/nobody/groups/room"), 200);
    assert_eq!(recipients(&mut service), "2");
    assert_eq!(ann.next_json()["data"], twin.next_json()["data"]);
    ann.send_json(&json!({"type": "leaveGroup", "group": "room", "ackId": 1}));
    assert_eq!(ann.next_json()["success"], true);
    assert_eq!(recipients(&mut service), "1");
    assert_eq!(service.ask("DELETE", "/users/ann/groups/room"), 204);
    assert_eq!(recipients(&mut service), "0");

    for (prepare, target) in [
        ("/users/ann/groups/room", "/users/ann/groups".to_owned()),
        (
            &*format!("/groups/room/connections/{id}"),
            format!("/connections/{id}/groups"),
        ),
    ] {
        assert_eq!(service.ask("PUT", prepare), 200);
        assert_eq!(service.ask("DELETE", &target), 204);
        assert_eq!(recipients(&mut service), "0");
        assert_eq!(
            service.ask("HEAD", "/users/ann"),
            200,
            "the user is there all the same"
        );
    }
    assert_eq!(service.ask("DELETE", "/connections/nobody/groups"), 204);
}

#[test]
fn lt_01_a_service_cannot_put_a_client_into_too_many_groups() {
    let server = ServerProcess::start(&[
        "--access-key",
        KEY,
        "--max-groups",
        "1",
        "--max-group-name",
        "8",
    ]);
    let mut service = Service::new(&server);
    let (_ann, id) = client(&server, "ann");
    assert_eq!(
        service.ask("PUT", &format!("/groups/a/connections/{id}")),
        200
    );
    for target in [
        format!("/groups/b/connections/{id}"),
        "/users/ann/groups/b".into(),
        "/users/ann/groups/@all".into(),
        "/users/ann/groups/123456789".into(),
        "/users/ann/groups/%20".into(),
    ] {
        let response = service.send("PUT", &target, "", b"");
        assert_eq!(
            (response.status, code(&response)),
            (400, json!("BadRequest")),
            "{target}"
        );
    }
}

#[test]
fn members_are_listed_by_the_page() {
    const COUNT: usize = 7;
    let server = guarded();
    let mut service = Service::new(&server);
    let mut clients: Vec<_> = (0..COUNT)
        .map(|number| client(&server, &number.to_string()))
        .collect();
    for (peer, _) in &mut clients {
        join(peer, "room");
    }
    let mut list = |target: &str| -> Value {
        let response = service.send("GET", target, "", b"");
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(response.field("content-type"), Some("application/json"));
        serde_json::from_slice(&response.body).unwrap()
    };
    let base = format!("http://{}/api/hubs/chat", server.addr());
    for (query, sizes) in [
        ("", &[7][..]),
        ("?maxpagesize=3&api-version=2024-12-01", &[3, 3, 1]),
        ("?maxpagesize=7", &[7]),
        ("?maxpagesize=3&top=5", &[3, 2]),
        ("?top=1", &[1]),
    ] {
        let mut found = Vec::new();
        let mut target = format!("/groups/room/connections{query}");
        for (number, size) in sizes.iter().enumerate() {
            let page = list(&target);
            let members = page["value"].as_array().unwrap();
            assert_eq!(members.len(), *size, "{query} {page}");
            found.extend(members.iter().map(|member| {
                [&member["userId"], &member["connectionId"]]
                    .map(|it| it.as_str().unwrap().to_owned())
            }));
            let next = page["nextLink"].as_str();
            assert_eq!(next.is_some(), number + 1 < sizes.len(), "{query} {page}");
            target = next
                .map(|next| next.strip_prefix(&base).unwrap().to_owned())
                .unwrap_or_default();
        }
        found.sort();
        let expected = (0..COUNT).map(|number| [number.to_string(), clients[number].1.clone()]);
        if sizes.iter().sum::<usize>() == COUNT {
            assert_eq!(found, expected.collect::<Vec<_>>(), "{query}");
        }
        found.dedup();
        assert_eq!(
            found.len(),
            sizes.iter().sum::<usize>(),
            "somebody is listed twice"
        );
    }
    assert_eq!(list("/groups/empty/connections"), json!({"value": []}));
}

#[test]
fn ac_06_without_a_good_token_a_request_is_401_and_delivers_nothing() {
    let server = guarded();
    let addr = server.addr();
    let (mut ann, id) = client(&server, "ann");
    let target = "/api/hubs/chat/:send";
    let aud = format!("http://{addr}{target}");
    let bearer = |token: String| format!("Authorization: Bearer {token}\r\n");
    for authorization in [
        String::new(),
        bearer(mint_with(
            "another key",
            &json!({"aud": aud, "exp": now() + 60}),
        )),
        bearer(mint_with(KEY, &json!({"aud": aud, "exp": now() - 301}))),
        bearer(mint_with(KEY, &json!({"aud": aud}))),
        bearer(token_for(addr, "/api/hubs/news/:send", &json!({}))),
        bearer(token_for(addr, "/client/hubs/chat", &json!({}))),
    ] {
        let fields = format!("{authorization}Content-Type: text/plain\r\n");
        let (mut peer, response) = peer::http(
            addr,
            &String::from_utf8(raw(addr, "POST", target, &fields, b"x")).unwrap(),
        );
        assert_eq!(
            (response.status, code(&response)),
            (401, json!("Unauthorized"))
        );
        assert_eq!(response.field("www-authenticate"), Some("Bearer"));
        peer.expect_eof();
    }
    let kick = String::from_utf8(raw(
        addr,
        "DELETE",
        &format!("/api/hubs/chat/connections/{id}"),
        "",
        b"",
    ))
    .unwrap();
    assert_eq!(peer::http(addr, &kick).1.status, 401);
    expect_nothing(&mut ann);
    // Without an access key there is nobody who could ask.
    let open = ServerProcess::start(&[]);
    let request = String::from_utf8(raw(open.addr(), "POST", target, "", b"x")).unwrap();
    assert_eq!(peer::http(open.addr(), &request).1.status, 401);
    let health = "HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for server in [&server, &open] {
        let mut peer = Peer::open(server.addr());
        peer.send_raw(health.as_bytes());
        assert_eq!(peer.next_head().status, 200);
    }
}

#[test]
fn ht_07_bad_requests_are_refused_by_name_and_deliver_nothing() {
    let server = guarded();
    let mut service = Service::new(&server);
    let (mut ann, _) = client(&server, "ann");
    let long = format!("[{}1]", "1,".repeat(600_000));
    for (method, target, content_type, body, status, name) in [
        (
            "POST",
            "/:send",
            "application/xml",
            &b"x"[..],
            415,
            "UnsupportedMediaType",
        ),
        (
            "POST",
            "/:send",
            "application/json",
            b"{",
            400,
            "BadRequest",
        ),
        (
            "POST",
            "/:send",
            "application/json",
            b"null",
            400,
            "BadRequest",
        ),
        ("POST", "/:send", "text/plain", b"\xff", 400, "BadRequest"),
        (
            "POST",
            "/:send?filter=a",
            "text/plain",
            b"x",
            400,
            "BadRequest",
        ),
        (
            "POST",
            "/:send?messageTtlSeconds=301",
            "text/plain",
            b"x",
            400,
            "BadRequest",
        ),
        (
            "POST",
            "/groups/@all/:send",
            "text/plain",
            b"x",
            400,
            "BadRequest",
        ),
        (
            "GET",
            "/groups/a/connections?maxpagesize=201",
            "",
            b"",
            400,
            "BadRequest",
        ),
        (
            "GET",
            "/groups/a/connections?continuationToken=x",
            "",
            b"",
            400,
            "BadRequest",
        ),
        ("PUT", "/:send", "text/plain", b"x", 405, "MethodNotAllowed"),
        ("POST", "/nothing", "text/plain", b"x", 404, "NotFound"),
    ] {
        let response = service.send(method, target, content_type, body);
        assert_eq!(
            (response.status, code(&response)),
            (status, json!(name)),
            "{method} {target}"
        );
        assert!(!response.closes(), "{method} {target}");
    }
    let mut too_long = |content_type: &str, body: &[u8]| {
        let response = service.send("POST", "/:send", content_type, body);
        assert_eq!(
            (response.status, code(&response)),
            (413, json!("ContentTooLarge"))
        );
        service = Service::new(&server);
    };
    too_long("application/json", long.as_bytes());
    too_long("application/octet-stream", &vec![0; 900_000]);
    too_long("text/plain", &vec![1; 400_000]);
    expect_nothing(&mut ann);
}

#[test]
fn ht_05_one_connection_serves_pipelined_requests_in_order() {
    let server = guarded();
    let mut service = Service::new(&server);
    let (mut ann, _) = client(&server, "ann");
    let mut burst = Vec::new();
    for number in 0..50 {
        burst.extend(service.request(
            "POST",
            "/:send",
            "text/plain",
            number.to_string().as_bytes(),
        ));
        burst.extend(service.request("HEAD", "/users/ann", "", b""));
        burst.extend(service.request("HEAD", "/users/nobody", "", b""));
    }
    service.peer.send_raw(&burst);
    for number in 0..50 {
        assert_eq!(service.next_response("send").status, 202);
        assert_eq!(service.peer.next_head().status, 200);
        assert_eq!(service.peer.next_head().status, 404);
        assert_eq!(ann.next_json()["data"], number.to_string());
    }
    // A half-closed connection gets its answer too.
    let request = service.request("POST", "/:send", "text/plain", b"last");
    service.peer.send_raw(&request);
    service.peer.finish();
    assert_eq!(service.next_response("send").status, 202);
    service.peer.expect_eof();
}

#[test]
fn ht_04_a_client_that_waits_with_its_body_is_told_to_go_on_only_if_its_head_is_good() {
    let server = guarded();
    let mut service = Service::new(&server);
    let (mut ann, _) = client(&server, "ann");
    let request = service.request("POST", "/:send", "text/plain", b"patience");
    let request = String::from_utf8(request).unwrap().replacen(
        "\r\nContent-Type",
        "\r\nExpect: 100-continue\r\nContent-Type",
        1,
    );
    let (head, body) = request.split_at(request.find("patience").unwrap());
    service.peer.send_raw(head.as_bytes());
    assert_eq!(service.peer.next_head().status, 100);
    assert!(service.peer.is_silent_for(Duration::from_millis(50)));
    service.peer.send_raw(body.as_bytes());
    assert_eq!(service.next_response("send").status, 202);
    assert_eq!(ann.next_json()["data"], "patience");
    assert_eq!(
        service.ask("HEAD", "/users/ann"),
        200,
        "the connection goes on"
    );

    for (head, status) in [
        (head.replace("Bearer ", "Bearer x"), 401),
        (head.replace("POST", "PUT"), 405),
        (head.replace("/:send", "/:sent"), 404),
        (
            head.replace("Content-Length: 8", "Content-Length: 8888888"),
            413,
        ),
        (head.replace("100-continue", "200-ok"), 417),
    ] {
        let (mut peer, response) = peer::http(server.addr(), &head);
        assert_eq!(response.status, status);
        peer.expect_eof();
    }
}

#[test]
fn ac_05_tokens_of_services_are_not_logged() {
    let mut server = ServerProcess::start(&["--access-key", KEY, "--log-level", "trace"]);
    let mut service = Service::new(&server);
    let addr = server.addr();
    let token = token_for(addr, "/api/hubs/chat/:send", &json!({}));
    let fields = format!("Authorization: Bearer {token}\r\nContent-Type: text/plain\r\n");
    service.peer.send_raw(&raw(
        addr,
        "POST",
        "/api/hubs/chat/:send?secret=query",
        &fields,
        b"planted-payload",
    ));
    assert_eq!(service.next_response("send").status, 202);
    server.signal("TERM");
    server.wait();
    for secret in [&*token, "secret=query", "planted-payload", KEY] {
        assert!(!server.log().contains(secret), "{}", server.log());
    }
}

#[test]
fn a_client_that_has_lost_its_socket_is_there_until_it_is_closed() {
    let server = guarded();
    let mut service = Service::new(&server);
    let path = hub_path(server.addr(), "chat", "ann");
    let connect = |path: &str| {
        let mut peer = Peer::connect_with(server.addr(), path, RELIABLE);
        let connected = peer.next_json();
        let text = |field: &str| connected[field].as_str().unwrap().to_owned();
        let [id, token] = ["connectionId", "reconnectionToken"].map(text);
        let back = format!("{path}&awps_connection_id={id}&awps_reconnection_token={token}");
        (peer, id, back)
    };
    let (peer, id, back) = connect(&path);
    drop(peer);
    assert_eq!(service.ask("HEAD", "/users/ann"), 200);
    assert_eq!(service.ask("PUT", "/users/ann/groups/room"), 200);
    let list = service.send("GET", "/groups/room/connections", "", b"");
    let page: Value = serde_json::from_slice(&list.body).unwrap();
    assert_eq!(
        page["value"],
        json!([{"connectionId": id, "userId": "ann"}])
    );
    assert_eq!(service.post("/groups/room/:send", "meanwhile"), "1");
    let mut recovered = Peer::connect_with(server.addr(), &back, RELIABLE);
    let back = format!(
        "{}{}",
        &back[..back.len() - 32],
        recovered.next_json()["reconnectionToken"].as_str().unwrap()
    );
    let message = recovered.next_json();
    assert_eq!(
        (&message["sequenceId"], &message["data"]),
        (&json!(1), &json!("meanwhile"))
    );
    drop(recovered);
    assert_eq!(service.ask("DELETE", &format!("/connections/{id}")), 204);
    assert_eq!(service.ask("HEAD", "/users/ann"), 404);
    let mut refused = Peer::connect_with(server.addr(), &back, RELIABLE);
    refused.expect_close(1008);

    let (mut peer, id, _) = connect(&path);
    assert_eq!(
        service.ask("DELETE", &format!("/connections/{id}?reason=out")),
        204
    );
    assert_eq!(peer.next_json()["message"], "out");
    assert_eq!(
        peer.expect_close(1008),
        "out",
        "so that it does not try to recover"
    );
}
