// Puts the page together: what people do goes to the session, what changes is drawn.

import { Chat } from "./chat.js";
import { createComposer } from "./composer.js";
import { byId, setText, showText } from "./dom.js";
import { createLog } from "./log.js";
import { recall, remember } from "./memory.js";
import { Session } from "./session.js";
import { createSidebar } from "./sidebar.js";
import { createWelcome } from "./welcome.js";

// About one frame. Not requestAnimationFrame: a hidden page still has to count what is unread in its title.
const DRAW_DELAY_MS = 16;

const chat = new Chat();
const stored = recall();
const narrow = matchMedia("(max-width: 46rem)");
let drawTimer = 0;
let countdown = 0;
/** Whether there was a connection under this name; without one there is none that could be closed. */
let hasBeenOpen = false;

const session = new Session(chat, {
  onChange: () => {
    drawTimer ||= setTimeout(draw, DRAW_DELAY_MS);
  },
  isInSight,
});

const views = [
  createSidebar(chat, {
    open,
    join: (name) => {
      const isNew = !chat.conversations.has(name);
      const room = chat.room(name);
      open(room);
      if (isNew || room.membership === "failed") {
        session.join(room);
      }
      save();
    },
    message: (name) => open(chat.person(name)),
  }),
  createLog(chat, {
    retry: (message) => {
      session.retry(chat.active, message);
      byId("message").focus();
    },
    discard: (message) => {
      session.discard(chat.active, message);
      byId("message").focus();
    },
  }),
  createComposer(chat, {
    post: (text) => session.post(chat.active, text),
    leave: async () => {
      await session.leave(chat.active);
      save();
      focusConversation();
    },
    rejoin: () => session.join(chat.active),
    back: () => {
      document.body.dataset.pane = "list";
      draw();
      byId("sidebar").querySelector("[aria-current]")?.focus();
    },
  }),
  { render: drawConnection },
];

const welcome = createWelcome({ onName: enter, onCancel: () => showApp() });

function enter(nickname) {
  showApp();
  if (nickname !== stored.nickname || chat.connection.phase === "idle") {
    stored.nickname = nickname;
    save();
    hasBeenOpen = false;
    session.start(nickname, stored.token);
  }
}

function showApp() {
  document.body.dataset.view = "app";
  draw();
  focusConversation();
}

function askForName(current) {
  document.body.dataset.view = "welcome";
  welcome.ask(current);
}

/** Whether the open conversation can be seen: a narrow page shows either it or the list. */
function isInSight() {
  const { view, pane } = document.body.dataset;
  return !document.hidden && view === "app" && !(narrow.matches && pane === "list");
}

function open(conversation) {
  chat.open(conversation);
  document.body.dataset.pane = "conversation";
  draw();
  focusConversation();
}

/** Where there is room one goes on typing; on a phone that would bring up the keyboard before anything was read. */
function focusConversation() {
  const field = byId("message");
  (narrow.matches || field.disabled ? byId("title") : field).focus();
}

function save() {
  remember({ ...stored, rooms: chat.rooms.map(({ id }) => id) });
}

function draw() {
  clearTimeout(drawTimer);
  drawTimer = 0;
  views.forEach((view) => view.render());
  document.title = chat.unreadCount > 0 ? `(${chat.unreadCount}) switchboard` : "switchboard";
}

function drawConnection() {
  const { phase, reason, retryAt } = chat.connection;
  hasBeenOpen ||= phase === "open";
  document.body.dataset.connection = phase;
  const words = { open: "Connected", connecting: hasBeenOpen ? "Reconnecting…" : "Connecting…" };
  setText(byId("connection-state"), words[phase] ?? "Connection closed");
  // The line stays while attempts come and go: its changes are spoken.
  const isDown = phase === "waiting" || (phase === "connecting" && hasBeenOpen);
  byId("outage").hidden = !isDown;
  if (phase === "waiting") {
    setText(byId("outage-text"), "Connection closed");
    showText(byId("outage-reason"), reason);
  }
  clearInterval(countdown);
  const tick = () => {
    const seconds = Math.ceil((retryAt - Date.now()) / 1000);
    setText(byId("outage-countdown"), phase === "waiting" && seconds > 0 ? `Next attempt in ${seconds} s` : "Reconnecting…");
  };
  tick();
  countdown = phase === "waiting" ? setInterval(tick, 500) : 0;
}

// What goes on in other conversations is said, since it cannot be seen by everybody; the log speaks for itself.
session.onArrival = (conversation, message) => {
  if (conversation !== chat.active) {
    setText(byId("announcer"), `${message.author ?? "Someone"} in ${conversation.title}: ${message.text.slice(0, 200)}`);
  }
};

byId("retry-now").addEventListener("click", () => session.retryNow());
byId("rename").addEventListener("click", () => askForName(stored.nickname));
addEventListener("online", () => session.retryNow());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    if (isInSight()) {
      chat.active.unreadCount = 0;
    }
    session.retryNow();
    draw();
  }
});

stored.rooms.forEach((name) => chat.room(name));
if (stored.nickname) {
  enter(stored.nickname);
} else {
  askForName("");
}
