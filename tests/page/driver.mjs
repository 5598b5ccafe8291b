// Two people at the chat page, in a real Chromium: node driver.mjs URL CHROMIUM FOLDER
//
// FOLDER is where playwright-core is installed. The server belongs to whoever runs this: a line `stop` or `start` on
// standard output asks for that, and a line on standard input says that it is done. Whatever is not as it should be ends
// this with exit code 1 and says why on standard error.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Person } from "./person.mjs";

// For everything, so that a hanging browser hangs nobody else.
const DEADLINE_MS = 150_000;
const SCRIPT_NAME = '<img src=x onerror="hasRunScript=1">';
const SCRIPT_TEXT = '<script>hasRunScript=1</script><b>bold</b>';
// Headless, and without what would talk to the rest of the world.
const BROWSER_ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

const [url, executablePath, folder] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

let step = "start";
const deadline = setTimeout(() => fail(new Error("this takes too long")), DEADLINE_MS);
// Chromium reads no list of authorities that a test could add one to.
const trust = url.startsWith("https:") ? ["--ignore-certificate-errors"] : [];
const browser = await chromium.launch({ executablePath, args: [...BROWSER_ARGUMENTS, ...trust] });
try {
  await run();
} catch (error) {
  await browser.close();
  fail(error);
}
await browser.close();
clearTimeout(deadline);
process.exit(0);

async function run() {
  begin("both enter");
  const ada = await Person.enter(browser, url, "Ada");
  const mallory = await Person.enter(browser, url, SCRIPT_NAME);
  for (const directive of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    assert.ok(ada.policy.includes(directive), `the policy lacks ${directive}: ${ada.policy}`);
  }
  assert.ok(!ada.policy.includes("unsafe"), ada.policy);

  begin("a message to everyone");
  await mallory.says(SCRIPT_TEXT);
  await ada.seesMessage(SCRIPT_TEXT, { from: SCRIPT_NAME });
  await mallory.seesMessage(SCRIPT_TEXT, { from: "You", status: "delivered" });
  await ada.sees("#people-count", "1 online");
  await mallory.sees("#people-count", "1 online");
  await mallory.sees(".status", "Delivered to 1");

  begin("a message to one person");
  await ada.addresses(SCRIPT_NAME);
  await ada.says("between us");
  await ada.seesMessage("between us", { status: "delivered" });
  await mallory.seesUnread("Ada", 1);
  await mallory.opens("Ada");
  await mallory.seesMessage("between us", { from: "Ada" });
  await mallory.says("understood");
  await ada.seesMessage("understood", { from: SCRIPT_NAME });

  begin("a message to somebody who is not there");
  await ada.addresses("Nobody");
  await ada.says("hello?");
  await ada.seesMessage("hello?", { status: "failed" });
  await ada.sees(".status", "Nobody is not connected (NotFound)");
  const nobody = await Person.enter(browser, url, "Nobody");
  await ada.retries();
  await ada.seesMessage("hello?", { status: "delivered" });
  await nobody.seesUnread("Ada", 1);

  begin("a room, and who is not in it");
  await ada.joins("ops");
  await mallory.joins("ops");
  await ada.says("in the room");
  await ada.seesMessage("in the room", { status: "delivered" });
  await ada.sees(".status", "Delivered to 1");
  await mallory.seesMessage("in the room", { from: "Ada" });

  begin("the server goes away");
  const everybody = [ada, mallory, nobody];
  everybody.forEach((person) => (person.isServerDown = true));
  await ask("stop");
  for (const person of everybody) {
    await person.sees("#outage-text", "Connection closed");
    await person.sees("#connection-state", "Connection closed");
  }
  await ada.says("while it was away");
  await ada.seesMessage("while it was away", { status: "waiting" });

  begin("the server comes back");
  await ask("start");
  for (const person of everybody) {
    await person.seesConnection("open");
    person.isServerDown = false;
  }
  await ada.seesMessage("while it was away", { status: "delivered" });
  await ada.seesRoomJoined();
  await mallory.seesRoomJoined();
  await mallory.says("still in the room");
  await ada.seesMessage("still in the room", { from: SCRIPT_NAME });
  await ada.says("so am I");
  await mallory.seesMessage("so am I", { from: "Ada" });

  begin("a room is left");
  await mallory.leaves();
  await ada.says("anyone?");
  await ada.sees(".status", "nobody else is here");

  begin("a narrow window");
  await ada.assertFits(320);

  begin("the end");
  for (const person of everybody) {
    await person.assertUnharmed();
  }
}

function begin(name) {
  step = name;
  console.error(`- ${name}`);
}

async function ask(what) {
  console.log(what);
  const { done } = await replies.next();
  assert.ok(!done, `nobody was there to ${what} the server`);
}

function fail(error) {
  console.error(`FAILED at "${step}": ${error.stack}`);
  process.exit(1);
}
