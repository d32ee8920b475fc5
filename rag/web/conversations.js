// Conversations. Runs once. `element` receives each turn that is to be kept; the panel stands in #conversations.
// They lie in this browser's IndexedDB: { id, title, created, updated, revision, questions } in "listed", the turns in
// "turns". A page holds the conversation that it shows, and sessionStorage its id: a reload shows it again, another
// tab begins its own.

const panel = () => document.querySelector("dialog.conversations");
const here = "conversation"; // the key in sessionStorage
const forked = new Map(); // the server still calls it by its old id
let current = begin(sessionStorage.getItem(here));

function begin(id) {
  const fresh = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0"));
  const now = new Date().toISOString();
  const begun = { id: id ?? fresh.join(""), title: "", created: now, updated: now, revision: 0, turns: [] };
  sessionStorage.setItem(here, begun.id);
  return begun;
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

// `work` gets both stores; what it asked for is there, wholly, when this is over.
async function stored(mode, work) {
  const transaction = (await database()).transaction(["listed", "turns"], mode);
  const over = new Promise((done, failed) => {
    transaction.oncomplete = done;
    transaction.onabort = () => failed(transaction.error);
  });
  const value = await work(transaction.objectStore("listed"), transaction.objectStore("turns"));
  await over;
  return value;
}

const heading = ({ turns, ...rest }) => ({ ...rest, questions: turns.length });

function write(conversation) {
  return stored("readwrite", (listed, turns) => {
    listed.put(heading(conversation));
    turns.put(conversation.turns, conversation.id);
  });
}

function read(id) {
  return stored("readonly", async (listed, turns) => {
    const [entry, kept] = await Promise.all([result(listed.get(id)), result(turns.get(id))]);
    return entry && { ...entry, turns: kept ?? [] };
  });
}

function drop(id) {
  return stored("readwrite", (listed, turns) => {
    listed.delete(id);
    turns.delete(id);
  });
}

// -- keeping --------------------------------------------------------------------------------------------------------

let keeping = Promise.resolve();

async function keep({ conversation, number, anew, turn }) {
  if (conversation && (forked.get(conversation) ?? conversation) !== current.id) return; // it was left meanwhile
  // The server has forgotten what came before: what it answered now is a conversation of its own.
  const { length } = current.turns;
  const goesOn = number === length + 1 || (number === length && current.turns.at(-1).question === turn.question);
  if (!anew && !goesOn) current = begin(null);
  current.turns = [...current.turns.slice(0, number - 1), turn];
  current.title ||= turn.question.replace(/\s+/g, " ").trim().slice(0, 80);
  current.updated = new Date().toISOString();
  await stored("readwrite", async (listed, turns) => {
    const known = await result(listed.get(current.id));
    if (known && known.revision !== current.revision) fork(); // another tab has gone on with it: both are kept
    current.revision += 1;
    listed.put(heading(current));
    turns.put(current.turns, current.id);
  });
}

function fork() {
  const old = current.id;
  current = { ...begin(null), title: `${current.title} (2)`, turns: current.turns };
  forked.set(old, current.id);
}

watch("value", () => {
  const { textContent: told, dataset } = element.querySelector("span") ?? {};
  if (dataset?.shown) heard(dataset.shown);
  if (dataset?.held) reopen(Number(dataset.held));
  if (!told) return;
  keeping = keeping
    .then(() => keep(JSON.parse(told)))
    .catch((error) => tell(`This conversation is not kept: ${error?.message ?? error}`, "failed"))
    .then(draw);
});

// -- opening --------------------------------------------------------------------------------------------------------

let heard = () => {};

// An event can be lost while the page is still being set up, or the network fails: the server says that it has heard.
async function show(conversation) {
  current = conversation;
  forked.clear();
  sessionStorage.setItem(here, current.id);
  for (let tries = 0; tries < 5 && current === conversation; tries++) {
    const answered = new Promise((done) => {
      heard = (id) => id === conversation.id && done(true);
      setTimeout(done, 4000, false);
    });
    trigger("conversation_open", { id: conversation.id, turns: conversation.turns });
    if (await answered) return;
  }
}

// The server forgets a page that it has not heard of for an hour: a machine that slept, say. Who comes back goes on.
let count = 0;
window.addEventListener("focus", () => current.turns.length && trigger("conversation_held", { count: ++count }));

function reopen(held) {
  if (!held && current.turns.length && !document.querySelector(".turn.running")) quietly(() => show(current));
}

// What is being answered belongs to the conversation that is left: it is stopped, and kept as far as it came.
async function settled() {
  const running = () => document.querySelector(".turn.running");
  if (!running()) return;
  [...document.querySelectorAll("#ask button")].find((button) => button.textContent.trim() === "Stop")?.click();
  for (let tries = 0; running() && tries < 100; tries++) await new Promise((done) => setTimeout(done, 50));
  await keeping;
}

async function start() {
  await settled();
  panel().close();
  quietly(() => show(begin(null)));
  document.querySelector("#ask textarea")?.focus();
}

async function open(id) {
  await settled();
  const conversation = await read(id);
  if (!conversation) return draw();
  panel().close();
  await show(conversation);
}

quietly(async () => {
  const conversation = await read(current.id);
  if (conversation?.turns.length) await show(conversation);
});

// -- the list -------------------------------------------------------------------------------------------------------

function quietly(doing) {
  return doing().catch((error) => tell(`This browser keeps no conversations: ${error?.message ?? error}`, "failed"));
}

function tell(words, kind) {
  const place = panel()?.querySelector(".happened");
  if (!place || [...place.children].some((line) => line.textContent === words)) return null;
  const line = document.createElement("li");
  Object.assign(line, { className: kind, dir: "auto", textContent: words });
  place.prepend(line);
  return line;
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
  const gone = await read(id);
  if (!gone) return draw();
  await drop(id);
  if (id === current.id) {
    await settled();
    await show(begin(null));
  }
  const line = tell(`${gone.title} is deleted.`, "done");
  const undo = button("Undo", `Bring ${gone.title} back`, "undo");
  undo.addEventListener("click", () => quietly(() => write(gone).then(() => line.remove()).then(draw)));
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
    quietly(() => retitle(item.dataset.id, input.value.trim()).then(leave));
  });
  form.addEventListener("click", (event) => event.target.value === "cancel" && quietly(leave));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // else it closes the dialog
    quietly(leave);
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
  if (file.failed) return tell(file.failed, "failed");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file.text], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

document.addEventListener("click", (event) => {
  const clicked = event.target.closest("button");
  if (clicked?.matches(".new-conversation")) quietly(start);
  else if (clicked?.matches(".open-conversations")) {
    panel().showModal();
    quietly(draw);
  } else if (clicked?.matches(".conversations .close") || event.target === panel()) panel().close();
  else if (clicked?.closest(".conversation")) {
    const item = clicked.closest(".conversation");
    const { id } = item.dataset;
    if (clicked.value === "open") quietly(() => open(id));
    else if (clicked.value === "rename") rename(item);
    else if (clicked.value === "delete") quietly(() => remove(id));
    else if (clicked.value === "markdown" || clicked.value === "json") quietly(() => download(id, clicked.value));
  }
});
