// The messages of a conversation: days, groups of one author, and what became of our own.

import { byId, drawAvatar, setText, showText, stamp, syncChildren } from "./dom.js";

// Messages of one author that follow each other this closely are one thought.
const GROUP_SPAN_MS = 5 * 60_000;
// Nearer to the end than this counts as reading the latest.
const END_TOLERANCE_PX = 48;

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

/** Wires the log; `actions` are `retry(message)` and `discard(message)`. */
export function createLog(chat, actions) {
  const [log, list, jump] = [byId("log"), byId("messages"), byId("jump")];
  let shown = null;
  let isAtEnd = true;
  let lastMessage = null;

  const toEnd = () => log.scrollTo({ top: log.scrollHeight });
  const noteScroll = () => {
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END_TOLERANCE_PX;
    jump.hidden = isAtEnd;
  };
  log.addEventListener("scroll", noteScroll, { passive: true });
  // The keyboard of a phone takes half of the height away; the latest message stays in sight.
  new ResizeObserver(() => isAtEnd && toEnd()).observe(log);
  jump.addEventListener("click", () => {
    toEnd();
    log.focus({ preventScroll: true });
  });
  list.addEventListener("click", ({ target }) => {
    const action = target.closest("button[data-action]")?.dataset.action;
    const key = target.closest("li")?.dataset.key;
    const message = chat.active.messages.find(({ id }) => String(id) === key);
    if (action && message) {
      actions[action](message);
    }
  });

  const render = () => {
    const { active } = chat;
    const isSwitch = shown !== active;
    // Opening a conversation must not make a screen reader read all of it.
    log.setAttribute("aria-live", isSwitch ? "off" : "polite");
    shown = active;
    syncChildren(list, rowsOf(active), {
      key: ({ key }) => key,
      create: createRow,
      update: (element, row) => row.message && updateMessage(element, row),
    });
    showEmptyState(chat);
    const latest = active.messages.at(-1) ?? null;
    const hasNewOwn = latest !== lastMessage && latest?.isOwn;
    lastMessage = latest;
    const mark = isSwitch && list.querySelector(".mark");
    if (mark) {
      mark.scrollIntoView({ block: "center", behavior: "instant" });
    } else if (isSwitch || hasNewOwn || isAtEnd) {
      toEnd();
    }
    noteScroll();
  };
  return { render };
}

/** What is to be seen from top to bottom: days, the mark of what is new, messages. */
function rowsOf({ messages, firstUnread, kind }) {
  const rows = [];
  const lastOwn = messages.findLast(({ isOwn }) => isOwn);
  let previous = null;
  for (const message of messages) {
    const day = dayOf(message.at);
    const isNewDay = previous === null || dayOf(previous.at) !== day;
    if (isNewDay) {
      rows.push({ key: `day of ${message.id}`, template: "day-template", text: day });
    }
    if (message === firstUnread) {
      rows.push({ key: "mark", template: "mark-template" });
    }
    if (message.kind === "notice") {
      rows.push({ key: message.id, template: "notice-template", text: message.text });
    } else {
      const isFollowUp = !isNewDay && message !== firstUnread && isSameThought(previous, message);
      const template = "message-template";
      rows.push({ key: message.id, template, message, isFollowUp, isDirect: kind === "person", isLastOwn: message === lastOwn });
    }
    previous = message;
  }
  return rows;
}

function isSameThought(previous, message) {
  return (
    previous.kind === "message" &&
    previous.author === message.author &&
    previous.isOwn === message.isOwn &&
    message.at - previous.at < GROUP_SPAN_MS
  );
}

function createRow({ template, text, message }) {
  const element = stamp(template);
  if (text) {
    setText(element.querySelector(".row-text"), text);
  }
  if (message) {
    fillMessage(element, message);
  }
  return element;
}

/** What never changes of a message. */
function fillMessage(element, { author, isOwn, text, at }) {
  const name = author ?? "Someone";
  element.classList.toggle("is-own", isOwn);
  drawAvatar(element.querySelector(".avatar"), { kind: "person", name });
  setText(element.querySelector(".author"), isOwn ? "You" : name);
  setText(element.querySelector(".text"), text);
  if (at) {
    const time = element.querySelector("time");
    setText(time, timeFormat.format(at));
    time.dateTime = at.toISOString();
    time.title = fullFormat.format(at);
  }
}

function updateMessage(element, row) {
  const { message, isFollowUp } = row;
  element.classList.toggle("is-follow-up", isFollowUp);
  element.dataset.status = message.status;
  showText(element.querySelector(".status"), statusOf(row));
  const isFailed = message.status === "failed";
  element.querySelector("[data-action=retry]").hidden = !isFailed;
  element.querySelector("[data-action=discard]").hidden = !isFailed && message.status !== "waiting";
}

/** What became of one of our messages; of those that went well only the last one says so. */
function statusOf({ message, isLastOwn, isDirect }) {
  const { status, recipients, dropped, error } = message;
  if (status === "failed") {
    return error;
  }
  if (status === "waiting") {
    return "Waiting for the connection";
  }
  if (status === "sending") {
    return isLastOwn ? "Sending…" : "";
  }
  const lost = dropped > 0 ? ` · ${dropped} could not keep up` : "";
  if (status !== "delivered" || (!isLastOwn && !lost)) {
    return "";
  }
  if (recipients === 0 && !lost) {
    return "Sent · nobody else is here";
  }
  const count = recipients === null || (isDirect && recipients === 1) ? "Delivered" : `Delivered to ${recipients}`;
  return count + lost;
}

function showEmptyState({ active: { messages, kind, title, membership }, me, online }) {
  const isAlone = online?.size === 1 && online.has(me);
  const words = {
    everyone: isAlone
      ? ["You are the first one here", "Send the address of this page to someone, or open it in another tab."]
      : ["Say hello to everyone", "What you write here reaches all who are connected right now."],
    room: [`Welcome to ${title}`, "Only those who have joined this room see what is written here."],
    person: [`You and ${title}`, "Nobody else sees what you write to each other here."],
    inbox: [title, "Nothing has come in yet."],
  };
  byId("empty").hidden = messages.length > 0 || membership === "failed";
  drawAvatar(byId("empty-avatar"), { kind, name: title });
  setText(byId("empty-title"), words[kind][0]);
  setText(byId("empty-text"), words[kind][1]);
}

/** The day of a message in words; what is replayed to us comes without its time. */
function dayOf(at) {
  if (at === null) {
    return "Earlier";
  }
  const daysAgo = Math.round((startOfDay(new Date()) - startOfDay(at)) / 86_400_000);
  return ["Today", "Yesterday"][daysAgo] ?? dayFormat.format(at);
}

const startOfDay = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
