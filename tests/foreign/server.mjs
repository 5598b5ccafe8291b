// A server made with the package ws, for a client to be tried on. Arguments: the folder with the package installed.
//
// It writes its port on the first line. Each path does something else; `cases.json` has what /case/N sends, and what the
// client has to make of it: echoes, or a Close frame with a code.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { WebSocketServer } = createRequire(`${process.argv[2]}/`)("ws");
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url)));
const failures = [];
let passed = 0;
let lastClose = "";

const server = createServer((request, response) => response.writeHead(404).end("nothing here"));
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 16 << 20,
  handleProtocols: (offered) => (offered.has("b") ? "b" : false),
});

server.on("upgrade", (request, stream, head) => {
  if (request.url === "/refuse") {
    stream.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot today\n");
    return;
  }
  sockets.handleUpgrade(request, stream, head, (socket) => serve(socket, request.url));
});

function serve(socket, path) {
  const [, what, argument] = path.split("/");
  socket.on("error", () => {});
  const echo = () => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  switch (what) {
    case "echo":
      socket.on("close", (code, reason) => (lastClose = `${code} ${reason}`));
      return echo();
    case "last-close":
      return socket.send(lastClose);
    case "fragments":
      socket.send("frag", { fin: false });
      socket.ping("between");
      socket.send("men", { fin: false });
      return socket.send("ted", { fin: true });
    case "ping":
      socket.on("pong", (payload) => socket.send(`pong ${payload}`));
      return socket.ping("there?");
    case "close":
      return socket.close(Number(argument), "the server says");
    case "gone":
      return socket.send("last", () => socket.terminate());
    case "count":
      return socket.send(String(cases.length));
    case "results":
      return socket.send([`${passed} passed`, ...failures].join("\n"));
    case "case":
      return judge(socket, cases[Number(argument)]);
  }
}

// Sends what a case says, and judges what comes of it.
function judge(socket, { name, frames, fill, echo, close }) {
  const heard = [];
  const bytes = [Buffer.from(frames.replaceAll(" ", ""), "hex"), Buffer.alloc(fill ?? 0)];
  const deadline = setTimeout(() => socket.terminate(), 5000);
  socket.on("message", (data, isBinary) => {
    heard.push(described(data, isBinary));
    if (echo && heard.length === echo.length) {
      socket.close(1000);
    }
  });
  socket.on("close", (code) => {
    clearTimeout(deadline);
    const [actual, expected] = [[heard, code], [echo ?? [], close ?? 1000]].map((value) => JSON.stringify(value));
    if (actual === expected) {
      passed += 1;
    } else {
      failures.push(`${name}: ${actual} instead of ${expected}`);
    }
  });
  // Past the package, which would not send most of this.
  socket._socket.write(Buffer.concat(bytes));
}

function described(data, isBinary) {
  const isFill = data.length > 100 && data.every((byte) => byte === 0);
  return (isBinary ? "binary" : "text") + (isFill ? `*${data.length}` : `:${data.toString("hex")}`);
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
