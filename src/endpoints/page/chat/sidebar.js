// The list of conversations: everyone, rooms, people.

import { addressOf, EVERYONE } from "./chat.js";
import { byId, drawAvatar, setText, showText, stamp, syncChildren } from "./dom.js";

// A hub may have a hundred thousand clients; those further down are found by name.
const PEOPLE_SHOWN_MAX = 100;

/** Wires the list; `actions` are `open(conversation)`, `join(name)` and `message(name)`. */
export function createSidebar(chat, actions) {
  const nav = byId("sidebar");
  nav.addEventListener("click", ({ target }) => {
    const item = target.closest("li[data-key]");
    if (item) {
      actions.open(find(chat, item.dataset));
    }
  });
  nav.addEventListener("keydown", moveFocus);
  wireForm("join", (name) => checkRoom(name), actions.join);
  wireForm("find", (name) => checkPerson(name, chat.me), actions.message);
  return { render: () => render(chat) };
}

function find(chat, { key, person }) {
  return chat.conversations.get(key) ?? chat.person(person);
}

/** Arrow keys go through the list, as one expects of a list. */
function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const buttons = [...byId("sidebar").querySelectorAll("li[data-key] button")];
  const index = buttons.indexOf(document.activeElement);
  if (step && index >= 0) {
    event.preventDefault();
    buttons[(index + step + buttons.length) % buttons.length].focus();
  }
}

/** A field that opens behind a button; a wrong name is said at the field. */
function wireForm(name, check, submit) {
  const [toggle, form] = [byId(`${name}-toggle`), byId(`${name}-form`)];
  const [input, error] = [form.querySelector("input"), form.querySelector(".field-error")];
  const show = (isShown) => {
    form.hidden = !isShown;
    toggle.setAttribute("aria-expanded", String(isShown));
    showError("");
    (isShown ? input : toggle).focus();
  };
  const showError = (text) => {
    showText(error, text);
    input.setAttribute("aria-invalid", String(text !== ""));
  };
  toggle.addEventListener("click", () => show(form.hidden));
  input.addEventListener("input", () => showError(""));
  form.addEventListener("keydown", (event) => event.key === "Escape" && show(false));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = input.value.trim();
    const problem = check(value);
    if (problem) {
      showError(problem);
      return;
    }
    input.value = "";
    show(false);
    submit(value);
  });
}

function checkRoom(name) {
  if (name === "") {
    return "Give the room a name.";
  }
  return name.startsWith("@") ? "The name of a room cannot begin with @." : "";
}

function checkPerson(name, me) {
  if (name === "") {
    return "Whom do you want to write to?";
  }
  return name === me ? "That is you." : "";
}

function render(chat) {
  const all = [...chat.conversations.values()];
  const list = (id, items) =>
    syncChildren(byId(id), items, {
      key: (item) => item.id,
      create: () => stamp("item-template"),
      update: (element, item) => updateItem(element, item, chat),
    });
  list("everyone-list", all.filter(({ kind }) => kind === "everyone" || kind === "inbox"));
  list("room-list", chat.rooms);
  const people = peopleOf(chat, all);
  list("people-list", people.slice(0, PEOPLE_SHOWN_MAX));

  byId("rooms-empty").hidden = chat.rooms.length > 0;
  const hidden = people.length - PEOPLE_SHOWN_MAX;
  const noOne = chat.online ? "Nobody else is online yet." : "People show up here when they write.";
  showText(byId("people-note"), hidden > 0 ? `and ${hidden} more` : people.length > 0 ? "" : noOne);
  const others = chat.whoIsOnline && [...chat.whoIsOnline].filter((name) => name !== chat.me).length;
  showText(byId("people-count"), others ? `${others} online` : "");

  setText(byId("me-name"), chat.me);
  drawAvatar(byId("me-avatar"), { kind: "person", name: chat.me });
}

/** Those we talk with in the order of beginning, then the others by name: nobody changes places under a finger. */
function peopleOf(chat, all) {
  const persons = all.filter(({ kind }) => kind === "person");
  const others = [...(chat.online ?? chat.seen)]
    .filter((name) => name !== chat.me && !chat.conversations.has(addressOf(name)))
    .sort((a, b) => a.localeCompare(b))
    .map((name) => ({ id: addressOf(name), kind: "person", title: name, unreadCount: 0, messages: [] }));
  return [...persons, ...others];
}

function updateItem(element, item, chat) {
  const [button, badge] = [element.querySelector("button"), element.querySelector(".badge")];
  const isOnline = item.kind === "person" && Boolean(chat.whoIsOnline?.has(item.title));
  element.dataset.person = item.kind === "person" ? item.title : "";
  element.classList.toggle("is-away", item.kind === "person" && chat.whoIsOnline !== null && !isOnline);
  element.classList.toggle("is-online", isOnline);
  element.classList.toggle("is-failed", item.membership === "failed");
  if (item === chat.active) {
    button.setAttribute("aria-current", "true");
  } else {
    button.removeAttribute("aria-current");
  }
  drawAvatar(element.querySelector(".avatar"), { kind: item.kind, name: item.title });
  setText(element.querySelector(".item-title"), item.title);
  setText(element.querySelector(".item-detail"), preview(item, isOnline));
  showText(badge.querySelector(".count"), item.unreadCount > 99 ? "99+" : String(item.unreadCount || ""));
  badge.hidden = item.unreadCount === 0;
}

/** The last words of a conversation, or what it is for. */
function preview({ id, kind, messages, membership }, isOnline) {
  if (membership === "failed") {
    return "Not joined";
  }
  const last = messages.findLast((message) => message.kind === "message");
  if (!last) {
    return id === EVERYONE ? "All who are connected" : isOnline ? "Online" : "";
  }
  const who = last.isOwn ? "You: " : kind === "person" ? "" : `${last.author ?? "Someone"}: `;
  return who + last.text.slice(0, 100);
}
