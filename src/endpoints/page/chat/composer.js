// The head of the open conversation, and the field below it where messages are written.

import { byId, drawAvatar, setText, showText } from "./dom.js";

/** Wires both; `actions` are `post(text)`, `leave()`, `rejoin()` and `back()`. */
export function createComposer(chat, actions) {
  const [form, field] = [byId("composer"), byId("message")];
  let shown = null;

  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  const submit = () => {
    const text = field.value.trimEnd();
    if (text.trim() !== "" && !field.disabled) {
      field.value = "";
      chat.active.draft = "";
      fit();
      actions.post(text);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
    field.focus();
  });
  field.addEventListener("keydown", (event) => {
    // While a character is being composed, Enter chooses it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  field.addEventListener("input", () => {
    chat.active.draft = field.value;
    fit();
  });
  byId("leave").addEventListener("click", actions.leave);
  byId("rejoin").addEventListener("click", actions.rejoin);
  byId("back").addEventListener("click", actions.back);

  const render = () => {
    const { active } = chat;
    renderHead(chat);
    const isMute = active.kind === "inbox" || active.membership === "failed";
    field.disabled = isMute;
    byId("send").disabled = isMute;
    field.placeholder = isMute ? "Nothing can be sent here" : `Message ${active.title}`;
    if (shown !== active) {
      shown = active;
      field.value = active.draft;
      fit();
    }
  };
  return { render };
}

function renderHead(chat) {
  const { active } = chat;
  drawAvatar(byId("title-avatar"), { kind: active.kind, name: active.title });
  setText(byId("title"), active.title);
  showText(byId("subtitle"), subtitleOf(chat, active));
  byId("leave").hidden = active.kind !== "room";
  setText(byId("leave"), active.membership === "failed" ? "Remove" : "Leave");
  showText(byId("room-error-text"), active.error);
  byId("room-error").hidden = active.error === "";
  byId("rejoin").hidden = active.membership !== "failed";
  const elsewhere = chat.unreadCount;
  showText(byId("back-count"), elsewhere > 0 ? String(elsewhere) : "");
}

function subtitleOf(chat, { kind, title, membership, members }) {
  if (chat.connection.phase !== "open") {
    return "Not connected";
  }
  if (kind === "everyone") {
    return chat.online ? countOf(chat.online.size, "online") : "All who are connected";
  }
  if (kind === "room") {
    const joined = members ? countOf(members.size, "in this room") : "Room";
    return { joining: "Joining…", failed: "Not joined" }[membership] ?? joined;
  }
  if (kind === "person" && chat.online) {
    return chat.online.has(title) ? "Online" : "Not online";
  }
  return kind === "person" ? "Direct message" : "Messages that cannot be answered";
}

const countOf = (count, where) => `${count} ${count === 1 ? "person" : "people"} ${where}`;
