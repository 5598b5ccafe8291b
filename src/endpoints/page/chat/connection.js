// One WebSocket that comes back by itself: phases, back-off, pings, and requests that are answered by an ack.
//
// It knows the envelope (type, ackId) and nothing of rooms or people.

const SUBPROTOCOL = "json.webpubsub.azure.v1";
const PING_INTERVAL_MS = 20_000;
// A host that swallows packets would otherwise keep us waiting for minutes.
const CONNECT_TIMEOUT_MS = 10_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 10_000;
// A server that accepts and closes at once must not be asked twice a second for ever.
const STABLE_AFTER_MS = 10_000;

/** The server said no; `name` is the name of the error on the wire. */
export class Refused extends Error {
  constructor({ name = "Error", message = "" } = {}) {
    super(message);
    this.name = name;
  }
}

/** The connection ended before the answer came: whether the request was carried out is not known. */
export class ConnectionLost extends Error {}

/**
 * A connection in one of the phases `idle`, `connecting`, `open` and `waiting` (for the next attempt).
 *
 * `onPhase` is told of each change, with `{ phase, retryAt, reason }`; `onMessage` gets every message but acks and pongs.
 * A connection is `open` from the server's `connected` message on, not before.
 */
export class Connection {
  #onPhase;
  #onMessage;
  #makeUrl = null;
  #socket = null;
  #phase = "idle";
  #attempts = 0;
  #openedAt = 0;
  #hasUnansweredPing = false;
  #timers = { connect: 0, retry: 0, ping: 0 };
  #nextAckId = 1;
  /** Requests under way, by ackId; these never outlive their socket. */
  #requests = new Map();

  constructor({ onPhase, onMessage }) {
    this.#onPhase = onPhase;
    this.#onMessage = onMessage;
  }

  get isOpen() {
    return this.#phase === "open";
  }

  /** Connects, and from then on reconnects, to what `makeUrl` returns at that moment. */
  start(makeUrl) {
    this.#abandon();
    this.#makeUrl = makeUrl;
    this.#attempts = 0;
    this.#connect();
  }

  /** Ends the wait for the next attempt, if there is one. */
  retryNow() {
    if (this.#phase === "waiting") {
      this.#connect();
    }
  }

  /**
   * Sends a message with an ackId; resolves with the ack.
   *
   * Rejects with `Refused`, or with `ConnectionLost` if the answer can no longer come.
   */
  request(message) {
    if (!this.isOpen) {
      return Promise.reject(new ConnectionLost("not connected"));
    }
    const ackId = this.#nextAckId++;
    return new Promise((resolve, reject) => {
      this.#requests.set(ackId, { resolve, reject });
      this.#send({ ...message, ackId });
    });
  }

  #connect() {
    this.#abandon();
    this.#enter("connecting");
    const socket = new WebSocket(this.#makeUrl(), SUBPROTOCOL);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#onData(data);
    socket.onclose = ({ code, reason }) => this.#onClose(describe(code, reason));
    this.#timers.connect = setTimeout(() => this.#onClose("The server does not answer."), CONNECT_TIMEOUT_MS);
  }

  #onData(data) {
    this.#hasUnansweredPing = false;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.type === "ack") {
      this.#settle(message);
    } else if (message?.type === "system" && message.event === "connected") {
      this.#onConnected();
      this.#onMessage(message);
    } else if (message && message.type !== "pong") {
      this.#onMessage(message);
    }
  }

  #onConnected() {
    clearTimeout(this.#timers.connect);
    this.#openedAt = Date.now();
    this.#timers.ping = setInterval(() => this.#ping(), PING_INTERVAL_MS);
    this.#enter("open");
  }

  #settle({ ackId, success, error, ...detail }) {
    const request = this.#requests.get(ackId);
    this.#requests.delete(ackId);
    // A duplicate was carried out before, which is what was wanted.
    if (success || error?.name === "Duplicate") {
      request?.resolve(detail);
    } else {
      request?.reject(new Refused(error));
    }
  }

  // Whether the last ping was answered is asked when the next one is due, however late that is: timers of hidden pages
  // are slow, and a fixed deadline would take that for a dead connection.
  #ping() {
    if (this.#hasUnansweredPing) {
      this.#onClose("The server does not answer.");
      return;
    }
    this.#hasUnansweredPing = true;
    this.#send({ type: "ping" });
  }

  #onClose(reason) {
    if (this.isOpen && Date.now() - this.#openedAt >= STABLE_AFTER_MS) {
      this.#attempts = 0;
    }
    this.#abandon();
    // Full jitter: after a restart the clients of a server must not come back all at once.
    const limit = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#attempts);
    const delay = Math.random() * limit;
    this.#attempts += 1;
    this.#timers.retry = setTimeout(() => this.#connect(), delay);
    this.#enter("waiting", { retryAt: Date.now() + delay, reason });
  }

  /** Forgets the socket without waiting for its end, which on a dead network does not come. */
  #abandon() {
    clearTimeout(this.#timers.connect);
    clearTimeout(this.#timers.retry);
    clearInterval(this.#timers.ping);
    this.#hasUnansweredPing = false;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }
    this.#phase = "idle";
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject } of requests) {
      reject(new ConnectionLost("the connection was closed"));
    }
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #enter(phase, { retryAt = 0, reason = "" } = {}) {
    this.#phase = phase;
    this.#onPhase({ phase, retryAt, reason });
  }
}

/** A close code in words; empty where there is nothing to add to "Connection closed". */
function describe(code, reason) {
  const words = {
    1001: "The server is going away.",
    1008: "The server has refused to go on.",
    1009: "The message was too large.",
    1013: "The server is busy.",
  };
  return reason ? `The server says: ${reason}.` : (words[code] ?? "");
}
