// Our side of the protocol: what we ask of the server, and what its messages change in the chat.

import { Connection, ConnectionLost, Refused } from "./connection.js";
import { EVERYONE, Message } from "./chat.js";

// A message may have a mebibyte; nobody reads that, and laying it out would freeze the page.
const TEXT_LENGTH_MAX = 20_000;

/**
 * Talks to the server on behalf of a chat, and calls `onChange` after each change of it.
 *
 * `isInSight` says whether the open conversation can be seen at the moment: what comes in there is read then.
 */
export class Session {
  #chat;
  #onChange;
  #isInSight;
  #connection;
  /** Called with a message that has just come in, for those who cannot see it. */
  onArrival = () => {};

  constructor(chat, { onChange, isInSight }) {
    this.#chat = chat;
    this.#onChange = onChange;
    this.#isInSight = isInSight;
    this.#connection = new Connection({
      onPhase: (connection) => {
        chat.connection = connection;
        onChange();
      },
      onMessage: (message) => this.#onMessage(message),
    });
  }

  /** Connects under a name; in place of the connection under another one, if there is one. */
  start(nickname, token) {
    this.#chat.me = nickname;
    this.#connection.start(() => socketUrl(nickname, token));
  }

  retryNow() {
    this.#connection.retryNow();
  }

  /** Joins a room, now or as soon as there is a connection. */
  async join(room) {
    room.membership = "joining";
    room.error = "";
    this.#onChange();
    try {
      await this.#connection.request({ type: "joinGroup", group: room.id, presence: true });
      room.membership = "joined";
    } catch (error) {
      // A lost connection joins all rooms again when it is back.
      if (error instanceof Refused) {
        room.membership = "failed";
        room.error = `This room could not be joined: ${explain(error)}`;
      }
    }
    this.#onChange();
  }

  /** Leaves a room and forgets it. */
  async leave(room) {
    try {
      await this.#connection.request({ type: "leaveGroup", group: room.id });
    } catch (error) {
      if (error instanceof Refused && room.membership === "joined") {
        room.error = `This room could not be left: ${explain(error)}`;
        this.#onChange();
        return;
      }
      // Without a connection there is no membership that could be left.
    }
    this.#chat.remove(room);
    this.#onChange();
  }

  /** Sends a text, now or as soon as there is a connection. */
  post(conversation, text) {
    const message = new Message({ author: this.#chat.me, text, isOwn: true, status: "waiting" });
    conversation.push(message);
    // Whoever answers has read what was new.
    conversation.firstUnread = null;
    this.#transmit(conversation, message);
  }

  /** Sends a failed message again, as the latest one. */
  retry(conversation, message) {
    conversation.remove(message);
    this.post(conversation, message.text);
  }

  discard(conversation, message) {
    conversation.remove(message);
    this.#onChange();
  }

  async #transmit(conversation, message) {
    if (!this.#connection.isOpen) {
      this.#onChange();
      return;
    }
    message.status = "sending";
    this.#onChange();
    try {
      const ack = await this.#connection.request({
        type: "sendToGroup",
        group: conversation.id,
        dataType: "text",
        data: message.text,
        noEcho: true,
      });
      message.status = "delivered";
      message.recipients = ack.recipients ?? null;
      message.dropped = ack.dropped ?? 0;
    } catch (error) {
      message.status = "failed";
      message.error = failure(error, conversation);
    }
    this.#onChange();
  }

  #onMessage(message) {
    if (message.type === "message") {
      this.#onArrived(message);
    } else if (message.type === "system") {
      this.#onSystem(message);
    }
    this.#onChange();
  }

  #onSystem(message) {
    const { event, group } = message;
    if (event === "connected") {
      this.#onConnected(message);
    } else if (event === "presence") {
      this.#chat.changePresence(group, names(message.joined), names(message.left));
    } else if (event === "gap") {
      const conversation = this.#chat.conversations.get(group) ?? this.#chat.conversations.get(EVERYONE);
      const count = message.dropped === 1 ? "1 message is" : `${message.dropped} messages are`;
      conversation.push(new Message({ kind: "notice", text: `${count} missing here: this connection was too slow.` }));
    }
  }

  // Requests are carried out in the order of sending, so nothing has to wait for an answer: what was typed without a
  // connection goes out behind the joins.
  #onConnected({ userId }) {
    const chat = this.#chat;
    chat.me = userId ?? chat.me;
    chat.expectPresence();
    this.#connection
      .request({ type: "joinGroup", group: EVERYONE, presence: true })
      .catch((error) => error instanceof Refused && this.#onNoPresence());
    chat.rooms.forEach((room) => this.join(room));
    for (const conversation of chat.conversations.values()) {
      conversation.messages
        .filter(({ status }) => status === "waiting")
        .forEach((message) => this.#transmit(conversation, message));
    }
  }

  // A server without presence refuses to join what everybody belongs to.
  #onNoPresence() {
    this.#chat.forgetPresence(EVERYONE);
    this.#onChange();
  }

  #onArrived({ from, group, fromUserId, dataType, data, history }) {
    const chat = this.#chat;
    const author = typeof fromUserId === "string" ? fromUserId : null;
    const conversation = this.#conversationOf(from, group, author);
    const text = readable(dataType, data);
    if (history === true && conversation.has(author, text)) {
      return;
    }
    const message = new Message({
      author,
      text,
      // Another tab of ours; what this one sends does not come back.
      isOwn: author !== null && author === chat.me && conversation.kind !== "person",
      at: history === true ? null : new Date(),
    });
    const isSeen = history === true || (conversation === chat.active && this.#isInSight());
    chat.receive(conversation, message, isSeen);
    this.onArrival(conversation, message);
  }

  #conversationOf(from, group, author) {
    const chat = this.#chat;
    if (from !== "group" || typeof group !== "string") {
      return chat.inbox("@server", "Server");
    }
    if (!group.startsWith("@")) {
      return this.#roomOf(group);
    }
    if (group === EVERYONE) {
      return chat.conversations.get(EVERYONE);
    }
    // Addressed to us: what counts is who it is from.
    return author === null ? chat.inbox("@nameless", "Without a name") : chat.person(author);
  }

  /** A room whose messages come is one that we are in, even if it was not us who asked for it. */
  #roomOf(name) {
    const room = this.#chat.room(name);
    room.membership = "joined";
    return room;
  }
}

function socketUrl(nickname, token) {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  url.searchParams.set("userId", nickname);
  if (token) {
    url.searchParams.set("access_token", token);
  }
  return url;
}

/** What a payload looks like to people. */
function readable(dataType, data) {
  if (dataType === "binary") {
    return `Binary data, ${Math.floor((String(data).replace(/=+$/, "").length * 3) / 4)} bytes`;
  }
  const text = typeof data === "string" ? data : JSON.stringify(data, null, 2);
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}… (shortened)` : text;
}

/** Why a message was not delivered, as far as it is known. */
function failure(error, { kind, title }) {
  if (error instanceof ConnectionLost) {
    return "Not confirmed: the connection closed before the server answered.";
  }
  if (error.name === "NotFound" && kind === "person") {
    return `Not delivered: ${title} is not connected (NotFound).`;
  }
  return `Not delivered: ${explain(error)}`;
}

const explain = ({ name, message }) => (message ? `${message} (${name}).` : `${name}.`);

const names = (list) => (Array.isArray(list) ? list.filter((name) => typeof name === "string") : []);
