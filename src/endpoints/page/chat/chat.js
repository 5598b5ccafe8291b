// What the page knows: conversations, their messages, who is here. No network and no DOM.

/** The address of everyone. */
export const EVERYONE = "@all";
const PERSON_PREFIX = "@user/";

// Strangers decide how much comes in, so everything that grows has a limit.
const MESSAGES_MAX = 500;
const PERSONS_MAX = 200;
const SEEN_MAX = 500;

/** The address of a person, which is the id of the conversation as well. */
export const addressOf = (name) => PERSON_PREFIX + name;

let nextMessageId = 1;

/**
 * A message as the page shows it.
 *
 * `status` is `received`, or for our own `waiting` (for a connection), `sending`, `delivered` and `failed` (with `error`).
 * A message of the kind `notice` is a remark of the page, not something that somebody wrote.
 */
export class Message {
  constructor({ author = null, text, isOwn = false, status = "received", at = new Date(), kind = "message" }) {
    this.id = nextMessageId++;
    Object.assign(this, { author, text, isOwn, status, at, kind });
    this.error = "";
    this.recipients = null;
    this.dropped = 0;
  }
}

/** A conversation with everyone, a room or a person; one of the kind `inbox` has nobody who could be answered. */
export class Conversation {
  constructor(id, kind, title) {
    Object.assign(this, { id, kind, title });
    this.messages = [];
    this.unreadCount = 0;
    /** The first message that was not seen when it came, marked until the conversation is opened again. */
    this.firstUnread = null;
    this.draft = "";
    /** Rooms only: `joining`, `joined` or `failed` (with `error`). */
    this.membership = kind === "room" ? "joining" : "joined";
    this.error = "";
    /** Rooms only: who is in it, once the server has said so. */
    this.members = null;
  }

  push(message) {
    this.messages.push(message);
    if (this.messages.length > MESSAGES_MAX) {
      this.messages.shift();
    }
  }

  remove(message) {
    this.messages = this.messages.filter((other) => other !== message);
  }

  /** Whether a replayed message is here already: after a reconnect, rooms with a memory send the same again. */
  has(author, text) {
    return this.messages.some((message) => message.author === author && message.text === text);
  }
}

/** Everything there is to show. */
export class Chat {
  /** Our name: what we asked for, then what the server calls us. */
  me = "";
  connection = { phase: "idle", retryAt: 0, reason: "" };
  /** Who is online; null as long as the server has not said so. */
  online = null;
  /** Who wrote something: the next best thing where the server does not say who is online. */
  seen = new Set();
  conversations = new Map();
  /** Groups whose presence dates from before the last reconnect. */
  #stale = new Set();

  constructor() {
    this.active = this.#insert(EVERYONE, "everyone", "Everyone");
  }

  /** `online` while it is more than a memory; without a connection nobody knows who is there. */
  get whoIsOnline() {
    return this.connection.phase === "open" ? this.online : null;
  }

  get rooms() {
    return [...this.conversations.values()].filter(({ kind }) => kind === "room");
  }

  get unreadCount() {
    return [...this.conversations.values()].reduce((sum, { unreadCount }) => sum + unreadCount, 0);
  }

  /** The room of that name; it is made if there is none. */
  room(name) {
    return this.conversations.get(name) ?? this.#insert(name, "room", name);
  }

  /** The conversation with that person; it is made if there is none. */
  person(name) {
    const id = addressOf(name);
    return this.conversations.get(id) ?? this.#insert(id, "person", name);
  }

  /** The conversation with senders that cannot be answered. */
  inbox(id, title) {
    return this.conversations.get(id) ?? this.#insert(id, "inbox", title);
  }

  /** Shows a conversation; what it has been waiting to be read is marked once more, and counted no longer. */
  open(conversation) {
    if (this.active !== conversation) {
      this.active.firstUnread = null;
    }
    this.active = conversation;
    conversation.unreadCount = 0;
  }

  remove(conversation) {
    this.conversations.delete(conversation.id);
    if (this.active === conversation) {
      this.open(this.conversations.get(EVERYONE));
    }
  }

  /** Somebody else's message has come; `isSeen` if it shows up before somebody's eyes. */
  receive(conversation, message, isSeen) {
    conversation.push(message);
    if (message.author !== null && message.author !== this.me) {
      this.seen.add(message.author);
      if (this.seen.size > SEEN_MAX) {
        this.seen.delete(this.seen.values().next().value);
      }
    }
    if (!isSeen && !message.isOwn) {
      conversation.firstUnread = conversation.unreadCount === 0 ? message : conversation.firstUnread;
      conversation.unreadCount += 1;
    }
  }

  /** From now on the first word about a group replaces what is known of its members. */
  expectPresence() {
    this.#stale = new Set([EVERYONE, ...this.rooms.map(({ id }) => id)]);
  }

  /** The server does not say who is in a group. */
  forgetPresence(group) {
    this.#setMembers(group, null);
  }

  /** People have joined and left a group. */
  changePresence(group, joined, left) {
    const known = group === EVERYONE ? this.online : this.conversations.get(group)?.members;
    const members = new Set(this.#stale.delete(group) ? [] : known);
    joined.forEach((name) => members.add(name));
    left.forEach((name) => members.delete(name));
    this.#setMembers(group, members);
  }

  #setMembers(group, members) {
    if (group === EVERYONE) {
      this.online = members;
    } else if (this.conversations.has(group)) {
      this.conversations.get(group).members = members;
    }
  }

  #insert(id, kind, title) {
    const conversation = new Conversation(id, kind, title);
    if (kind === "person") {
      this.#makeRoomForPerson();
    }
    this.conversations.set(id, conversation);
    return conversation;
  }

  /** Forgets the oldest conversation with a person, so that a flood of names does not fill the memory. */
  #makeRoomForPerson() {
    const persons = [...this.conversations.values()].filter(({ kind }) => kind === "person");
    if (persons.length >= PERSONS_MAX) {
      const oldest = persons.find((person) => person !== this.active);
      this.conversations.delete(oldest.id);
    }
  }
}
