// Conversations. Runs once. The panel stands in #conversations.
//
// This page owns the conversation that it shows: each question takes all of it to the server (asked.py), and `element`
// receives each turn as it grows. What the server draws and tells carries `showing`, the number of the
// conversation on this page, so that what comes too late is seen to be.
//
// Conversations lie in this browser's IndexedDB: { id, title, created, updated, revision, questions } in "listed", the
// turns in "turns". sessionStorage has the id of the shown one: a reload shows it again, another tab begins its own.

const panel = () => document.querySelector("dialog.conversations");
let showing = 1;
let current = begun();

Object.assign((window.asking ??= {}), { showing: () => String(showing), turns: () => current.turns });

function fresh() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function begun() {
  const now = new Date().toISOString();
  return { id: fresh(), title: "", created: now, updated: now, revision: 0, turns: [] };
}

// -- the store ------------------------------------------------------------------------------------------------------

const result = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

let opened = null;

function database() {
  opened ??= new Promise((done, failed) => {
    const request = indexedDB.open("conversations", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("listed", { keyPath: "id" });
      request.result.createObjectStore("turns");
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
  return opened;
}

// `work` gets both stores; what it asked for is there, wholly, when this is over, and nothing of it when this throws.
async function stored(mode, work) {
  const transaction = (await database()).transaction(["listed", "turns"], mode);
  const over = new Promise((done, failed) => {
    transaction.oncomplete = done;
    transaction.onabort = () => failed(transaction.error);
  });
  try {
    const value = await work(transaction.objectStore("listed"), transaction.objectStore("turns"));
    await over;
    return value;
  } catch (error) {
    over.catch(() => {});
    try {
      transaction.abort();
    } catch {
      // it was over already
    }
    throw error;
  }
}

const heading = ({ turns, ...rest }) => ({ ...rest, questions: turns.length });

function put(conversation, listed, turns) {
  listed.put(heading(conversation));
  turns.put(conversation.turns, conversation.id);
}

function read(id) {
  return stored("readonly", async (listed, turns) => {
    const [entry, kept] = await Promise.all([result(listed.get(id)), result(turns.get(id))]);
    return entry && { ...entry, turns: Array.isArray(kept) ? kept : [] };
  });
}

function drop(id) {
  return stored("readwrite", (listed, turns) => {
    listed.delete(id);
    turns.delete(id);
  });
}

function remember() {
  try {
    sessionStorage.setItem("conversation", current.id);
  } catch {
    // this browser keeps nothing
  }
}

function remembered() {
  try {
    return sessionStorage.getItem("conversation");
  } catch {
    return null;
  }
}

// -- keeping --------------------------------------------------------------------------------------------------------

let keeping = Promise.resolve(); // one write after the other

watch("value", () => {
  const told = element.querySelector("span")?.textContent;
  if (told) keep(JSON.parse(told));
});

// What it takes to ask on is changed at once, whatever becomes of the store.
function keep({ showing: of, number, turn }) {
  if (of !== String(showing)) return; // it was left meanwhile
  const conversation = current;
  conversation.turns = [...conversation.turns.slice(0, number - 1), turn];
  conversation.title ||= [...turn.question.replace(/\s+/g, " ").trim()].slice(0, 80).join("");
  conversation.updated = new Date().toISOString();
  keeping = keeping
    .then(() => store(conversation))
    .then(() => trouble(""))
    .catch((error) => trouble(`This conversation is not kept: ${said(error)}`))
    .then(draw)
    .catch(() => {}); // the list can wait
  mend();
}

async function store(conversation) {
  const next = { ...conversation };
  await stored("readwrite", async (listed, turns) => {
    const known = await result(listed.get(next.id));
    if (known) next.title = known.title; // another tab may have named it
    if (known && known.revision !== next.revision) {
      Object.assign(next, { id: fresh(), title: `${known.title} (2)` }); // or have gone on with it: both are kept
    }
    next.revision += 1;
    put(next, listed, turns);
  });
  const { id, title, revision } = next;
  Object.assign(conversation, { id, title, revision });
  if (conversation === current) remember();
}

// -- showing --------------------------------------------------------------------------------------------------------

function show(conversation) {
  current = conversation;
  showing += 1;
  remember();
  tries = 0;
  trigger("conversation_leave"); // what is being answered ends, kept as far as it came
  redraw();
}

let tries = 0;
let due = 0;

// What is drawn says which conversation it is, and how much of it. An event can be lost while the page is being set up,
// the network can fail, and what was asked for earlier can come later: then it is drawn again.
function isShown() {
  const { showing: of, turns } = document.querySelector("#chat [data-showing]")?.dataset ?? {};
  if (of !== String(showing)) return !of && showing === 1 && !current.turns.length; // the page as it came
  return Number(turns) === current.turns.length || isAnswering();
}

const isAnswering = () => document.querySelector("#chat .turn.running") !== null;

function mend(after = 500) {
  clearTimeout(due);
  due = setTimeout(() => {
    if (isShown()) tries = 0;
    else redraw();
  }, after);
}

function redraw() {
  if (tries === 5) return trouble("This conversation could not be shown; reload the page.");
  tries += 1;
  trigger("conversation_draw");
  mend(4000);
}

document.addEventListener("chatdrawn", () => mend());

// The index is there now, or has changed: which quotes still stand is looked up again.
document.addEventListener("topchange", () => {
  const idle = current.turns.length && !isAnswering();
  if (idle && !document.querySelector("#header .notice")) trigger("conversation_draw");
});

function start() {
  panel().close();
  show(begun());
  document.querySelector("#ask textarea")?.focus();
}

async function open(id) {
  await keeping;
  const conversation = await read(id);
  if (!conversation) return draw();
  panel().close();
  if (id !== current.id || conversation.revision !== current.revision) show(conversation);
}

const before = remembered();
if (before) {
  quietly("This browser keeps no conversations", async () => {
    const conversation = await read(before);
    if (conversation?.turns.length && !current.turns.length && showing === 1) show(conversation);
  });
}

// -- the list -------------------------------------------------------------------------------------------------------

const said = (error) => error?.message || String(error);

function quietly(failed, doing) {
  return doing().catch((error) => tell(`${failed}: ${said(error)}`, "failed"));
}

// Where somebody looks: in the panel while it is open, else above the question.
function tell(words, kind) {
  if (!panel()?.open) return trouble(words);
  const place = panel().querySelector(".happened");
  if (kind === "failed" && [...place.children].some((line) => line.textContent === words)) return null;
  const line = document.createElement("li");
  Object.assign(line, { className: kind, dir: "auto", textContent: words });
  place.prepend(line);
  return line;
}

function trouble(words) {
  const place = document.querySelector("#trouble .trouble");
  if (place && place.textContent !== words) place.textContent = words;
  return null;
}

function button(name, label, value) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: name, className: "tool", value });
  made.setAttribute("aria-label", label);
  return made;
}

function row({ id, title, questions, updated }) {
  const item = document.createElement("li");
  item.className = "conversation";
  item.dataset.id = id;
  const name = button(title, `Open ${title}`, "open");
  Object.assign(name, { className: "name", dir: "auto" });
  if (id === current.id) name.setAttribute("aria-current", "true");
  const facts = document.createElement("p");
  facts.className = "small";
  const when = new Date(updated).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  facts.textContent = `${questions === 1 ? "1 question" : `${questions} questions`} · ${when}`;
  const tools = document.createElement("div");
  tools.className = "tools";
  tools.append(
    button("Rename", `Rename ${title}`, "rename"),
    button("Markdown", `Download ${title} as Markdown`, "markdown"),
    button("JSON", `Download ${title} as JSON`, "json"),
    button("Delete", `Delete ${title}`, "delete"),
  );
  item.append(name, facts, tools);
  return item;
}

const UNLISTED = "This browser keeps no conversations";

async function draw() {
  if (!panel()?.open) return;
  const all = await stored("readonly", (listed) => result(listed.getAll()));
  all.sort((a, b) => (a.updated < b.updated ? 1 : -1));
  const list = panel().querySelector(".listed");
  if (list.querySelector("form")) return; // somebody is typing a name
  const focused = list.contains(document.activeElement) && document.activeElement;
  const place = focused && [focused.closest("li").dataset.id, focused.value];
  list.replaceChildren(...all.map(row));
  if (!all.length) {
    const none = document.createElement("li");
    Object.assign(none, { className: "small", textContent: "No conversations yet." });
    list.append(none);
  }
  if (place) list.querySelector(`[data-id="${place[0]}"] button[value="${place[1]}"]`)?.focus();
}

// -- what can be done with one --------------------------------------------------------------------------------------

async function remove(id) {
  if (id === current.id) show(begun());
  await keeping; // it is read with all that was told of it
  const gone = await read(id);
  if (!gone) return draw();
  await drop(id);
  const line = tell(`${gone.title} is deleted.`, "done");
  const undo = button("Undo", `Bring ${gone.title} back`, "undo");
  const back = () => stored("readwrite", (listed, turns) => put(gone, listed, turns));
  undo.addEventListener("click", () =>
    quietly(`${gone.title} could not be brought back`, () => back().then(() => line.remove()).then(draw)),
  );
  line?.append(" ", undo);
  await draw();
  undo.focus();
}

function rename(item) {
  const name = item.querySelector(".name");
  const form = document.createElement("form");
  const input = document.createElement("input");
  Object.assign(input, { value: name.textContent, maxLength: 200, dir: "auto", required: true });
  input.setAttribute("aria-label", "The name of the conversation");
  const save = button("Save", "Save the name", "save");
  save.type = "submit";
  form.append(input, save, button("Cancel", "Leave the name as it is", "cancel"));
  const leave = async () => {
    form.remove();
    name.hidden = false;
    await draw();
    panel().querySelector(`[data-id="${item.dataset.id}"] button[value="rename"]`)?.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    quietly("The name could not be changed", () => retitle(item.dataset.id, input.value.trim()).then(leave));
  });
  form.addEventListener("click", (event) => event.target.value === "cancel" && quietly(UNLISTED, leave));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // else it closes the dialog
    quietly(UNLISTED, leave);
  });
  name.hidden = true;
  item.prepend(form);
  input.select();
}

async function retitle(id, title) {
  if (!title) return;
  await stored("readwrite", async (listed) => {
    const entry = await result(listed.get(id));
    if (entry) listed.put({ ...entry, title });
  });
  if (id === current.id) current.title = title;
}

async function download(id, format) {
  const conversation = await read(id);
  if (!conversation) return draw();
  const file = await server.conversation_export({ ...conversation, format });
  if (!file) throw new Error("the server does not answer"); // then Gradio hands on nothing
  if (file.failed) return tell(file.failed, "failed");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file.text], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

document.addEventListener("click", (event) => {
  const clicked = event.target.closest("button");
  if (clicked?.matches(".new-conversation")) start();
  else if (clicked?.matches(".open-conversations")) {
    panel().showModal();
    quietly(UNLISTED, draw);
  } else if (clicked?.matches(".conversations .close") || event.target === panel()) panel().close();
  else if (clicked?.closest(".conversation")) {
    const item = clicked.closest(".conversation");
    const { id } = item.dataset;
    const title = item.querySelector(".name").textContent;
    if (clicked.value === "open") quietly(`${title} could not be opened`, () => open(id));
    else if (clicked.value === "rename") rename(item);
    else if (clicked.value === "delete") quietly(`${title} could not be deleted`, () => remove(id));
    else if (clicked.value === "markdown" || clicked.value === "json") {
      quietly(`${title} could not be downloaded`, () => download(id, clicked.value));
    }
  }
});
