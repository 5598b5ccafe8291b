// Somebody at the page: what they do, and what they wait to see. Every wait has a limit and none is a pause.

import assert from "node:assert/strict";

// The longest back-off of the page is 10 s, and two attempts may be needed.
const SEEING_TIMEOUT_MS = 30_000;
// While there is no server, the browser says so in the console; the page cannot prevent that.
const EXPECTED_WHILE_DOWN = /WebSocket connection to .* failed/;

export class Person {
  #page;
  #problems = [];
  /** Whether the server is away, as the scenario knows. */
  isServerDown = false;

  /** Opens the page and enters under a name. */
  static async enter(browser, url, name) {
    const context = await browser.newContext();
    context.setDefaultTimeout(SEEING_TIMEOUT_MS);
    const person = new Person(await context.newPage(), name);
    await person.#open(url);
    return person;
  }

  constructor(page, name) {
    this.#page = page;
    this.name = name;
  }

  async #open(url) {
    this.#page.on("pageerror", (error) => this.#problems.push(String(error)));
    this.#page.on("console", (message) => this.#onConsole(message));
    this.#page.on("requestfailed", (request) => this.#problems.push(`not loaded: ${request.url()}`));
    const response = await this.#page.goto(url);
    this.policy = response.headers()["content-security-policy"] ?? "";
    await this.#page.getByLabel("Nickname", { exact: true }).fill(this.name);
    await this.#page.keyboard.press("Enter");
    await this.seesConnection("open");
  }

  #onConsole(message) {
    const isExpected = this.isServerDown && EXPECTED_WHILE_DOWN.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isExpected) {
      this.#problems.push(message.text());
    }
  }

  async joins(room) {
    await this.#page.getByRole("button", { name: "Join a room" }).press("Enter");
    await this.#page.getByLabel("Name of the room").fill(room);
    await this.#page.keyboard.press("Enter");
    await this.seesRoomJoined();
  }

  async addresses(name) {
    await this.#page.getByRole("button", { name: "Write to someone by name" }).press("Enter");
    await this.#page.getByLabel("Nickname of the person").fill(name);
    await this.#page.keyboard.press("Enter");
    await this.sees("#title", name);
  }

  async opens(title) {
    await this.#item(title).getByRole("button").press("Enter");
    await this.sees("#title", title);
  }

  async leaves() {
    await this.#page.getByRole("button", { name: "Leave" }).press("Enter");
    await this.sees("#title", "Everyone");
  }

  /** Types a message into the field that has the focus; the page has to have put it there. */
  async says(text) {
    await this.#page.locator("#message:focus").waitFor();
    await this.#page.keyboard.insertText(text);
    await this.#page.keyboard.press("Enter");
  }

  async retries() {
    await this.#page.getByRole("button", { name: "Retry" }).press("Enter");
  }

  async seesMessage(text, { from = null, status = null } = {}) {
    let message = this.#page.locator(status ? `.message[data-status=${status}]` : ".message");
    message = message.filter({ has: this.#page.locator(".text").getByText(text, { exact: true }) });
    if (from) {
      message = message.filter({ has: this.#page.locator(".author").getByText(from, { exact: true }) });
    }
    await message.waitFor();
  }

  async seesUnread(title, count) {
    await this.#item(title).locator(".badge .count").getByText(String(count), { exact: true }).waitFor();
  }

  async seesConnection(phase) {
    await this.#page.locator(`body[data-connection=${phase}]`).waitFor();
  }

  async seesRoomJoined() {
    await this.#page.locator("#subtitle", { hasText: /^(Room|\d+ \w+ in this room)$/ }).waitFor();
  }

  /** Waits until one of the elements shows that text, among others. */
  async sees(selector, text) {
    await this.#page.locator(selector, { hasText: text }).first().waitFor();
  }

  /** Nothing that somebody wrote has become part of the page, and the browser has had nothing to complain about. */
  async assertUnharmed() {
    assert.equal(await this.#page.evaluate(() => window.hasRunScript), undefined, `${this.name}: a script ran`);
    assert.equal(await this.#page.locator("img[src=x], .text *, bdi *").count(), 0, `${this.name}: text became markup`);
    assert.deepEqual(this.#problems, [], `${this.name}: the console of the browser`);
  }

  /** The page fits into a width, with the conversation open and with the list. */
  async assertFits(width) {
    await this.#page.setViewportSize({ width, height: 568 });
    const assertNoOverflow = async (pane) => {
      const needed = await this.#page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(needed <= width, `${pane}: ${needed} pixels of ${width}`);
    };
    await assertNoOverflow("conversation");
    await this.#page.getByRole("button", { name: "All conversations" }).press("Enter");
    await this.#page.locator("#sidebar [aria-current]:focus").waitFor();
    await assertNoOverflow("list");
    await this.#page.keyboard.press("Enter");
    await this.#page.locator("#title:focus").waitFor();
  }

  #item(title) {
    return this.#page.locator("#sidebar li").filter({
      has: this.#page.locator(".item-title").getByText(title, { exact: true }),
    });
  }
}
