// npm `ws` against an encrypted server: `node encrypted.mjs FOLDER wss://HOST:PORT/echo`; NODE_EXTRA_CA_CERTS names whom to
// trust.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, url] = process.argv.slice(2);
const WebSocket = createRequire(join(folder, "x.js"))("ws");

setTimeout(() => assert.fail("this takes too long"), 15_000).unref();
for (const version of ["TLSv1.2", "TLSv1.3"]) {
  const socket = new WebSocket(url, { minVersion: version, maxVersion: version });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  for (const length of [0, 1, 20_000, 1 << 20]) {
    const message = Buffer.alloc(length, "x");
    const answer = new Promise((resolve) => socket.once("message", resolve));
    socket.send(message);
    assert.ok(message.equals(await answer), `${length} bytes`);
  }
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.close(1000);
  assert.equal(await closed, 1000);
}
console.log("ok");
