// The first thing to be seen: the question for a nickname. It comes back when the name is to be changed.

import { byId, setText, showText } from "./dom.js";

// The server's limit (128) is in bytes of UTF-8.
const NAME_BYTES_MAX = 128;

/** Wires the form; `onName` gets a valid name, `onCancel` is called if the old one is kept. */
export function createWelcome({ onName, onCancel }) {
  const [form, input, error] = [byId("welcome-form"), byId("nickname"), byId("nickname-error")];
  const showError = (text) => {
    showText(error, text);
    input.setAttribute("aria-invalid", String(text !== ""));
  };
  input.addEventListener("input", () => showError(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    const problem = check(name);
    showError(problem);
    if (problem) {
      input.focus();
    } else {
      onName(name);
    }
  });
  byId("welcome-cancel").addEventListener("click", onCancel);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("welcome-cancel").hidden) {
      onCancel();
    }
  });

  /** Asks for a name; `current` is the one to be changed, if there is one. */
  const ask = (current) => {
    byId("welcome-cancel").hidden = !current;
    setText(byId("welcome-submit"), current ? "Save" : "Start chatting");
    input.value = current;
    showError("");
    input.focus();
    input.select();
  };
  return { ask };
}

function check(name) {
  if (name === "") {
    return "Please enter a nickname.";
  }
  if (/\p{Cc}/u.test(name)) {
    return "A nickname cannot contain control characters.";
  }
  return new TextEncoder().encode(name).length > NAME_BYTES_MAX ? "This nickname is too long." : "";
}
