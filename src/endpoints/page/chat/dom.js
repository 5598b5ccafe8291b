// The page's elements, without a way to turn text into markup.

/** The element with that id. */
export const byId = (id) => document.getElementById(id);

/** A new copy of what is in the template with that id. */
export const stamp = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Sets the text of an element; leaves it alone if it is that already, because screen readers speak of changes. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Shows a text, or hides the element if there is none. */
export function showText(element, text) {
  setText(element, text);
  element.hidden = text === "";
}

/**
 * Makes the children of `parent` those of `items`, in order; a child lives on as long as an item has its key.
 *
 * Elements are kept rather than made anew for the sake of the focus and of screen readers.
 */
export function syncChildren(parent, items, { key, create, update }) {
  const focused = document.activeElement;
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const itemKey = String(key(item));
    let child = old.get(itemKey);
    old.delete(itemKey);
    if (!child) {
      child = create(item);
      child.dataset.key = itemKey;
    }
    update(child, item);
    if (child === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(child, next);
    }
  }
  old.forEach((child) => child.remove());
  // An element that is moved loses the focus.
  if (focused !== document.activeElement && focused?.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

/** Makes an avatar that of a name; a room has a sign of its own. */
export function drawAvatar(element, { kind, name }) {
  const signs = { room: "#", everyone: "∗", inbox: "!" };
  setText(element, signs[kind] ?? initials(name));
  element.dataset.kind = kind;
  element.dataset.hue = kind === "person" ? hueOf(name) : "none";
}

/** At most two letters that stand for a name. */
function initials(name) {
  const words = name.split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => word.match(/[\p{L}\p{N}]/u)[0]);
  const chosen = letters.length > 1 ? [letters[0], letters.at(-1)] : letters;
  return chosen.join("").toLocaleUpperCase() || "?";
}

/** One of the eight colours of the style sheet, always the same for a name. */
function hueOf(name) {
  let hash = 0;
  for (const character of name) {
    hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  }
  return String(hash % 8);
}
