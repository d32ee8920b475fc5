// The chat. Runs once, when it is there: `element` holds the turns, `watch` tells when they were drawn anew.

const view = element.closest("#chat");
let count = 0;
let atEnd = true;

view.addEventListener("scroll", () => {
  atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 80;
});

// The end of the conversation, but never beyond the question that was asked last: one reads from there.
function showEnd() {
  const last = element.querySelector(".turn:last-child");
  const end = view.scrollHeight - view.clientHeight;
  const top = last ? last.getBoundingClientRect().top - view.getBoundingClientRect().top + view.scrollTop : end;
  view.scrollTop = Math.min(end, top);
  atEnd = end - view.scrollTop < 80; // now, for a change of size is told before the scroll is
}

// A row of buttons grows a field, a line comes above the box: what was at the end stays there.
const resized = new ResizeObserver(() => atEnd && (view.scrollTop = view.scrollHeight));
resized.observe(view);
resized.observe(element);

const box = () => document.querySelector("#ask textarea");

// Gradio drops an update of the box when another follows at once, so it is emptied here, as somebody typing would.
function emptyBox() {
  box().value = "";
  box().dispatchEvent(new Event("input", { bubbles: true }));
}

// -- examples: where none are written, some are made from the documents, once the page is there ---------------------

let examples = [];

function offer() {
  const place = element.querySelector(".examples");
  if (!place || place.childElementCount) return;
  for (const question of examples) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "example", dir: "auto", textContent: question });
    place.append(button);
  }
}

// None yet: the index is being opened, or they are being made for somebody else.
async function fetchExamples(seconds = 1) {
  const place = element.querySelector(".examples");
  if (!place || place.childElementCount) return;
  examples = (await server.offered({})) ?? []; // the page does without
  if (examples.length) offer();
  else if (seconds < 300) setTimeout(() => fetchExamples(2 * seconds), 1000 * seconds);
}

fetchExamples();

// While one answer comes, no other is asked for: each would be written without the other. The button says so, too.
const busy = () => element.querySelector(".turn.running") !== null;
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.target !== box() || !busy()) return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

// A new question comes into view; a growing answer stays there, unless the reader has scrolled away.
watch("value", () => {
  const turns = element.querySelectorAll(".turn");
  if (atEnd || turns.length !== count) showEnd();
  // A question that was not accepted stays in the box, to be mended.
  const last = turns[turns.length - 1];
  const accepted = last && (busy() || !last.querySelector(".notice"));
  if (turns.length > count && accepted) emptyBox();
  count = turns.length;
  offer();
  document.dispatchEvent(new Event("chatdrawn")); // for conversations.js
});

// The button that was clicked goes away with its focus. A finger would only be shown a keyboard.
function askAnew(turn, question) {
  trigger("ask_anew", { turn, question });
  if (matchMedia("(hover: hover)").matches) box()?.focus();
}

// -- edit: a form in place of the question, until it is asked again or left -----------------------------------------

function edit(button) {
  const ask = button.closest(".ask");
  const question = ask.querySelector(".asked").textContent;
  const form = document.createElement("form");
  const area = document.createElement("textarea");
  area.value = question;
  area.rows = Math.min(6, Math.ceil(question.length / 60));
  area.dir = "auto";
  area.setAttribute("aria-label", "The question, edited");
  const row = document.createElement("div");
  for (const [kind, name] of [["submit", "Send"], ["button", "Cancel"]]) {
    const each = document.createElement("button");
    Object.assign(each, { type: kind, textContent: name, className: "tool" });
    row.append(each);
  }
  form.append(area, row);
  const leave = () => {
    form.remove();
    ask.classList.remove("edited");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!area.value.trim()) return;
    leave();
    askAnew(Number(button.value), area.value);
  });
  form.addEventListener("click", (event) => {
    if (event.target.type !== "button") return;
    leave();
    button.focus();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      leave();
      button.focus();
    }
  });
  ask.classList.add("edited");
  ask.append(form);
  area.focus();
}

// -- copy -----------------------------------------------------------------------------------------------------------

// Off https and off this machine, browsers have no clipboard but the old one.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

async function copyAnswer(button) {
  try {
    await copy(button.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".example")) {
    trigger("example_select", { question: button.textContent });
    if (matchMedia("(hover: hover)").matches) box()?.focus();
  } else if (button.matches(".copy")) copyAnswer(button);
  else if (button.matches(".retry")) askAnew(Number(button.value), button.closest(".turn").querySelector(".asked").textContent);
  else if (button.matches(".edit")) edit(button);
});
