// What outlives a reload: name, rooms and token, for this tab only, so that two tabs can be two people.

const KEY = "switchboard";

/** What was remembered, and the token that the address of the page may carry (`#access_token=…`). */
export function recall() {
  let stored = {};
  try {
    stored = JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    // Storage is switched off, or holds something else: begin anew.
  }
  const token = new URLSearchParams(location.hash.slice(1)).get("access_token");
  if (token) {
    // A fragment does not reach the server's log; nor should it be seen over a shoulder.
    history.replaceState(null, "", location.pathname);
  }
  const rooms = Array.isArray(stored.rooms) ? stored.rooms.filter((name) => typeof name === "string") : [];
  return { nickname: String(stored.nickname ?? ""), rooms, token: token ?? String(stored.token ?? "") };
}

/** Remembers, where that is possible. */
export function remember(stored) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(stored));
  } catch {
    // Without storage the page asks for a name after each reload.
  }
}
