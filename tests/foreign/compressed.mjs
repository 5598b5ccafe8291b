// npm `ws` against a server that compresses: `node compressed.mjs FOLDER ws://HOST:PORT/echo`.
import { createRequire } from "node:module";
import { join } from "node:path";
import assert from "node:assert/strict";

const [folder, url] = process.argv.slice(2);
const WebSocket = createRequire(join(folder, "x.js"))("ws");

const offers = [
  true,
  { serverNoContextTakeover: true, clientNoContextTakeover: true },
  { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 15, clientMaxWindowBits: true },
  { threshold: 0, clientMaxWindowBits: 8 },
];
const texts = ["", "short", "long ".repeat(1000), JSON.stringify(Array.from({ length: 5000 }, (_, n) => ({ n, square: n * n })))];
const bytes = Buffer.from(Array.from({ length: 100000 }, (_, n) => (n * n) % 251));

for (const perMessageDeflate of offers) {
  const socket = new WebSocket(url, { perMessageDeflate });
  const heard = [];
  let wake = () => {};
  socket.on("message", (data, isBinary) => {
    heard.push(isBinary ? data : data.toString());
    wake();
  });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  assert.match(socket.extensions, /permessage-deflate/);
  const sent = [...texts, bytes, ...texts];
  for (const message of sent) socket.send(message);
  socket.ping("?");
  while (heard.length < sent.length) await new Promise((resolve) => (wake = resolve));
  assert.deepEqual(heard, sent);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.close(1000);
  assert.equal(await closed, 1000);
}
console.log("ok");
