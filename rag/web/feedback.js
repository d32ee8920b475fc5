// The verdicts below the answers. Runs once. The chat is drawn anew with every sentence, so what was said of an answer is
// kept here and shown again: { verdict, kept, waiting, draft, said }. `verdict` was clicked last, `kept` is what the
// server has stored, `draft` a note that was typed and not sent.

const judged = new Map();
const visitor = named();
const redrawn = new MutationObserver(showAll);
let watched = null;
let typing = null; // where the cursor is, as a note that is drawn anew loses it: { answer, start, end }
let count = 0;

// By this random name the server tells what this browser said from what others said of the same answer.
function named() {
  const random = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    if (!localStorage.getItem("judging")) localStorage.setItem("judging", random);
    return localStorage.getItem("judging");
  } catch {
    return random; // this browser keeps nothing
  }
}

function show(row) {
  const { verdict, kept, waiting, draft, said } = judged.get(row.dataset.answer) ?? {};
  const shown = waiting ? verdict : kept?.verdict;
  for (const button of row.querySelectorAll("button[value]")) {
    const pressed = String(button.value === shown);
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
  }
  row.querySelector(".judge-note").hidden = !verdict;
  const note = row.querySelector("input");
  const words = draft ?? kept?.note ?? "";
  if (note.value !== words) note.value = words;
  if (typing?.answer === row.dataset.answer && document.activeElement !== note) {
    note.focus({ preventScroll: true });
    note.setSelectionRange(typing.start, typing.end);
  }
  const status = row.querySelector(".judge-said");
  if (status.textContent !== (said ?? "")) status.textContent = said ?? "";
}

function showAll() {
  document.querySelectorAll(".judge").forEach(show);
}

// Not when this starts: the chat may not be there yet.
function watchOver(chat) {
  if (chat === watched) return;
  watched = chat;
  redrawn.disconnect();
  redrawn.observe(chat, { childList: true, subtree: true });
}

// One after the other, so that what was said last is what is stored.
let sending = Promise.resolve();

function send(row, verdict) {
  const answer = row.dataset.answer;
  const turn = window.asking.turns()[[...document.querySelectorAll(".turn")].indexOf(row.closest(".turn"))];
  const said = { ...judged.get(answer), verdict, waiting: ++count, said: "" };
  judged.set(answer, said);
  watchOver(row.closest("#chat"));
  show(row);
  const sent = { answer, turn, verdict, visitor, note: said.draft ?? null }; // null: the note stays as it is
  const nothing = { says: "The server does not answer; try again." }; // then Gradio hands on no reply
  sending = sending.then(() => server.judge(sent)).then((reply) => hear(answer, said.waiting, reply ?? nothing));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".judge button");
  if (!button) return;
  const row = button.closest(".judge");
  send(row, button.matches(".judge-send") ? judged.get(row.dataset.answer)?.verdict : button.value);
});

// -- the note --

const noteOf = (event) => (event.target.matches?.(".judge-note input") ? event.target : null);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !noteOf(event)) return;
  const row = event.target.closest(".judge");
  send(row, judged.get(row.dataset.answer)?.verdict);
});

function follow(note) {
  const answer = note?.closest(".judge").dataset.answer;
  typing = note && { answer, start: note.selectionStart, end: note.selectionEnd };
}

document.addEventListener("input", (event) => {
  const note = noteOf(event);
  if (!note) return;
  judged.get(note.closest(".judge").dataset.answer).draft = note.value;
  follow(note);
});

document.addEventListener("selectionchange", () => {
  const note = document.activeElement;
  if (typing && note?.matches(".judge-note input")) follow(note);
});

// Whoever goes elsewhere is not called back.
document.addEventListener("focusin", (event) => follow(noteOf(event)));
document.addEventListener("pointerdown", (event) => noteOf(event) || follow(null));

// -- the server's reply: what is stored now, or why nothing is --

function hear(answer, number, { says, verdict, note }) {
  const of = judged.get(answer);
  if (verdict !== undefined) {
    of.kept = { verdict, note };
    if (of.draft?.trim() === note) delete of.draft;
  }
  if (of.waiting === number) Object.assign(of, { waiting: 0, said: says }); // else a later one is on its way
  showAll();
}
