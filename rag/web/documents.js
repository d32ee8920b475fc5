// The Documents panel. Runs once; `server` holds the functions of documents.py, each of which always replies, and
// `upload` sends a file. What is shown is the server's escaped HTML, or text.

const panel = element.querySelector("dialog");
const listed = panel.querySelector(".listed");
const happened = panel.querySelector(".happened");
const search = panel.querySelector("input[type=search]");
const picker = panel.querySelector("input[type=file]");
const most = Number(panel.dataset.most);
const everySeconds = 2;
const named = 3; // documents in the line above the question
const chosen = new Set();
const waiting = [];
const trouble = document.createElement("li"); // why there is no list; one line, however often it is asked for
let stamp = "";
let drawn = 0;
let sending = false;

// -- the list: fetched when the panel opens, and again when the index has changed --

async function draw() {
  const mine = ++drawn;
  const reply = await server.document_list(search.value);
  if (mine !== drawn) return; // a newer one was asked for meanwhile
  if (reply.failed) return explain(reply.failed);
  trouble.remove();
  const focused = listed.contains(document.activeElement) ? document.activeElement.value : null;
  stamp = reply.stamp;
  listed.innerHTML = reply.html;
  for (const time of listed.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
  // What this page itself is sending has its line above already.
  const own = [...happened.querySelectorAll(".reading")].map((line) => line.textContent);
  for (const other of listed.querySelectorAll(".reading")) {
    if (own.some((line) => line.startsWith(other.querySelector(".name").textContent))) other.remove();
  }
  showChoice();
  if (focused) listed.querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
}

function explain(words) {
  if (!trouble.isConnected || trouble.textContent !== words) tell(words, "failed", trouble);
}

// Whether the index is another one costs one small read, and only while somebody looks.
async function look() {
  if (document.hidden) return;
  const reply = await server.document_stamp(null);
  if (reply.failed) return panel.open && explain(reply.failed);
  if (reply.stamp === stamp) return;
  stamp = reply.stamp;
  trigger("documents_changed");
  if (panel.open) await draw();
}

const quietly = (doing) => doing().catch(() => {}); // the server is gone: Gradio says so
window.addEventListener("focus", () => quietly(look));
setInterval(() => panel.open && quietly(look), everySeconds * 1000);

// -- opening and closing --

element.querySelector(".open-documents").addEventListener("click", () => open());
panel.querySelector(".close-documents").addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => event.target === panel && panel.close()); // beside it

function open() {
  if (!panel.open) panel.showModal();
  quietly(draw);
}

let typed = 0;
search.addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(() => quietly(draw), 150);
});

// -- asking only some: what is ticked is what is asked, and what the line above the question says --

(window.asking ??= {}).only = () => [...chosen];

function showChoice() {
  for (const box of listed.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.value);
  panel.querySelector(".choose-all").hidden = chosen.size === 0;
  panel.querySelector(".choice").textContent =
    chosen.size === 0 ? "All documents are asked. Tick some to ask only these." : `Only ${chosen.size} ticked: these are asked.`;
  const scope = document.querySelector("#scope .scope");
  const names = [...chosen].slice(0, named).join(", ");
  const more = chosen.size > named ? ` and ${(chosen.size - named).toLocaleString("en")} more` : "";
  scope.querySelector("span").textContent = `Asking only ${names}${more}`;
  scope.hidden = chosen.size === 0;
}

listed.addEventListener("change", (event) => {
  if (!event.target.matches("input[type=checkbox]")) return;
  if (event.target.checked) chosen.add(event.target.value);
  else chosen.delete(event.target.value);
  showChoice();
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("button.ask-all, button.choose-all")) return;
  chosen.clear();
  showChoice();
  if (event.target.closest("button.ask-all")) document.querySelector("#ask textarea")?.focus();
});

// -- removing, and undoing it --

function tell(words, kind, line = document.createElement("li")) {
  line.className = kind;
  line.dir = "auto";
  line.textContent = words;
  if (!line.isConnected) happened.prepend(line);
  return line;
}

async function remove(button) {
  button.disabled = true;
  const reply = await server.document_remove(button.value);
  const line = tell(reply.failed ?? reply.says, reply.failed ? "failed" : "done");
  if (reply.undo) {
    const undo = document.createElement("button");
    undo.type = "button";
    undo.textContent = "Undo";
    undo.addEventListener("click", () => quietly(() => bringBack(reply.undo, line)));
    line.append(" ", undo);
    undo.focus();
  }
  const source = button.closest("li")?.querySelector("input")?.value;
  if (reply.undo && chosen.delete(source)) showChoice(); // what is gone cannot be asked
  await look();
}

async function bringBack(token, line) {
  const reply = await server.document_undo(token);
  if (reply.failed) tell(reply.failed, "failed");
  else tell(reply.says, "done", line);
  await look();
}

listed.addEventListener("click", (event) => {
  const button = event.target.closest("button.remove");
  if (button) quietly(() => remove(button));
});

// -- uploading, one after the other --

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

function take(files) {
  for (const file of files) waiting.push({ file, line: tell(`${file.name}: waiting…`, "reading") });
  if (!sending) quietly(send);
}

async function send() {
  sending = true;
  try {
    while (waiting.length) await sendOne(waiting.shift());
  } finally {
    sending = false;
  }
}

async function sendOne({ file, line }) {
  const megabytes = (size) => (size / 1e6).toLocaleString("en", { maximumFractionDigits: 1 });
  if (file.size > most) {
    const sizes = `it has ${megabytes(file.size)} MB, more than the ${megabytes(most)} MB of an upload`;
    return tell(`${file.name}: ${sizes}; split it, or add it with 'rag ingest'`, "failed", line);
  }
  try {
    tell(`${file.name}: sending…`, "reading", line);
    // A name of its own: Gradio would keep the same file, sent from two tabs, in one place.
    const name = `upload-${Math.random().toString(36).slice(2)}`;
    const { path } = await upload(new File([file], name, { type: "application/octet-stream" }));
    tell(`${file.name}: being read…`, "reading", line);
    const reply = await server.document_add({ name: file.name, path });
    if (reply.failed) tell(reply.failed.includes(file.name) ? reply.failed : `${file.name}: ${reply.failed}`, "failed", line);
    else tell(`${reply.source}: ${reply.says}`, "done", line);
  } catch {
    tell(`${file.name}: it could not be sent; try again`, "failed", line);
  }
  await look();
}

picker.addEventListener("change", () => {
  take([...picker.files]);
  picker.value = ""; // the same file may be chosen again
});

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (!panel.open) open();
    panel.classList.add("dragging");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget || panel.classList.remove("dragging"));
document.addEventListener("drop", (event) => {
  panel.classList.remove("dragging");
  if (!hasFiles(event)) return;
  event.preventDefault();
  if (!panel.open) open();
  take([...event.dataTransfer.files]);
});
