// The document beside the chat. Runs once, when its shell is there: `element` holds it, `server` reads documents.
// A chip in the chat, or the title of a card in the panel, opens the whole document at the card's words.

const view = element.querySelector(".viewer");
const part = (name) => view.querySelector(`.${name}`);
const paper = part("paper");
const panel = document.querySelector("#sources");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const BLANK_LINES = /(\n(?:[ \t]*\n)+)/;
const GONE = "This document was removed after the answer was given. This is the passage as it stood in it.";
const CHANGED = "This document was changed after the answer was given. This is the passage as it stood in it then.";

let opened = null; // {id, key} of the card whose document is open
let opener = null; // what was clicked
let front = ""; // the section of cards that is shown; the last one, if there is none of this name
let count = 0; // sections of cards
let shown = null; // {document, version, starts, blocks} on the paper
let request = 0; // the last one asked for; answers to earlier ones are dropped

// -- cards -------------------------------------------------------------------------------------------------------

const card = (id) => panel.querySelector(`.card#${CSS.escape(id)}`);
const words = (of) => (of.querySelector("mark") ?? of.querySelector("blockquote")).textContent;
const key = (of) => [of.dataset.document, of.dataset.start, words(of)].join(" ");
const cited = (of) => [...of.closest(".sources").querySelectorAll(".card.cited")];

// The cards of one answer are shown: of the one whose card was opened, or of the last.
function drawCards() {
  const sections = [...panel.querySelectorAll(".sources")];
  if (sections.length !== count && view.hidden) {
    opened = null;
    front = "";
  }
  count = sections.length;
  const current = opened && card(opened.id);
  if (!view.hidden && (!current || key(current) !== opened.key)) close(); // its answer is gone
  const section = sections.find((each) => each.id === front) ?? sections.at(-1);
  for (const each of sections) each.hidden = each !== section;
  for (const each of panel.querySelectorAll(".card")) each.classList.toggle("open", each === current);
}

// -- text --------------------------------------------------------------------------------------------------------

// Text as nodes, character for character; blank lines are wrapped, so that many can look like one.
function nodes(text) {
  return text.split(BLANK_LINES).map((piece, number) => {
    if (number % 2 === 0) return document.createTextNode(piece);
    const gap = document.createElement("span");
    gap.className = "gap";
    gap.textContent = piece;
    return gap;
  });
}

// Where in `text` its character number `offset` is: a string here counts some characters twice.
function unit(text, offset) {
  let at = 0;
  for (let character = 0; character < offset && at < text.length; character++) {
    at += text.codePointAt(at) > 0xffff ? 2 : 1;
  }
  return at;
}

// Draws one block; what of it lies in `place` is marked.
function drawBlock(number, text, place) {
  const block = shown.blocks[number];
  const from = shown.starts[number];
  const start = unit(text, Math.max(0, place.start - from));
  const end = unit(text, Math.max(0, place.end - from));
  const pieces = [...nodes(text.slice(0, start))];
  if (end > start) {
    const mark = document.createElement(place.tag);
    mark.className = "found";
    mark.append(...nodes(text.slice(start, end)));
    pieces.push(mark);
  }
  block.replaceChildren(...pieces, ...nodes(text.slice(Math.max(start, end))));
  block.classList.remove("empty");
}

// Empty blocks for the whole document, as high as they are likely to be.
function layOut(answer, id) {
  const blocks = answer.starts.slice(1).map((end, number) => {
    const block = document.createElement("div");
    block.className = "leaf empty";
    block.dir = "auto";
    block.style.setProperty("--lines", Math.ceil((end - answer.starts[number]) / 45));
    if (number in answer.pages) block.dataset.page = answer.pages[number];
    return block;
  });
  paper.replaceChildren(...blocks);
  shown = { document: id, version: answer.version, starts: answer.starts, blocks, place: null };
}

function unmark() {
  for (const mark of paper.querySelectorAll(".found")) mark.replaceWith(...mark.childNodes);
  for (const near of paper.querySelectorAll(".near")) near.classList.remove("near");
}

// The rest of the document, in parts, those after the place first.
async function readRest(id, turn) {
  const version = shown.version;
  for (;;) {
    const blocks = shown.blocks;
    const after = blocks.findIndex((block, number) => number >= shown.first && block.matches(".empty"));
    const first = after >= 0 ? after : blocks.findIndex((block) => block.matches(".empty"));
    if (first < 0) return;
    const { texts } = await server.read_on({ document: id, version, first });
    if (turn !== request || !texts.length) return;
    texts.forEach((text, number) => {
      if (blocks[first + number].matches(".empty")) drawBlock(first + number, text, shown.place);
    });
  }
}

// -- opening -----------------------------------------------------------------------------------------------------

function drawFrame(current) {
  const all = cited(current);
  const at = all.indexOf(current);
  part("title").textContent = current.querySelector("h3").textContent;
  part("where").textContent = current.querySelector(".small").textContent;
  part("nth").textContent = at >= 0 ? `Citation ${at + 1} of ${all.length}` : "Passage, not cited";
  part("nav").hidden = all.length === 0;
  part("previous").disabled = at < 1;
  part("next").disabled = at + 1 >= all.length;
  const others = [...current.closest(".sources").querySelectorAll(".card.uncited")].filter((each) => each !== current);
  part("others").hidden = others.length === 0;
  part("others").querySelector("summary").textContent =
    current.closest(".sources").querySelector("summary")?.textContent ?? "Other passages that are near";
  part("others").querySelector("ul").replaceChildren(
    ...others.map((other) => {
      const item = document.createElement("li");
      const button = other.querySelector("button.goto").cloneNode(true);
      const place = document.createElement("span");
      place.className = "small";
      place.dir = "auto";
      place.textContent = other.querySelector(".small").textContent;
      item.append(button, place);
      return item;
    }),
  );
}

// The passage as the answer kept it, without a mark.
function drawKept(current, notice) {
  shown = null;
  const block = document.createElement("div");
  block.className = "leaf";
  block.dir = "auto";
  block.append(...nodes(current.querySelector("blockquote").textContent));
  paper.replaceChildren(block);
  paper.scrollTop = 0;
  part("warning").textContent = notice;
}

function drawPlace(current, answer) {
  const { document: id, start, end } = current.dataset;
  unmark();
  if (shown?.document !== id || shown.version !== answer.version) layOut(answer, id);
  shown.place = { start: Number(start), end: Number(end), tag: current.matches(".cited") ? "mark" : "span" };
  shown.first = answer.first;
  answer.texts.forEach((text, number) => {
    drawBlock(answer.first + number, text, shown.place);
    shown.blocks[answer.first + number].classList.add("near");
  });
  const found = [...paper.querySelectorAll(".found")];
  if (found.map((mark) => mark.textContent).join("") !== words(current)) return unmark(); // rather than a wrong one
  if (current.matches(".uncited") && Object.keys(answer.pages).length === 0) {
    part("where").textContent += ` · line ${answer.line.toLocaleString("en")}`;
  }
  found[0].tabIndex = -1;
  found[0].focus({ preventScroll: true });
  const high = found[0].offsetHeight > 0.7 * paper.clientHeight;
  found[0].scrollIntoView({ block: high ? "start" : "center" });
}

async function open(id) {
  const current = card(id);
  if (!current) return;
  if (opened?.key !== key(current)) unmark(); // it may be another version of the document by now
  opened = { id, key: key(current) };
  front = current.closest(".sources").id;
  const turn = ++request;
  view.hidden = false;
  document.querySelector("#beside").classList.add("reading");
  part("warning").textContent = "";
  drawCards();
  drawFrame(current);
  const { document: of, start, end } = current.dataset;
  let answer;
  try {
    answer = await server.open_at({ document: of, start, end, words: words(current) });
  } catch {
    answer = { state: "broken", reason: "The page cannot reach its server." };
  }
  if (turn !== request) return;
  if (answer.state === "here") {
    drawPlace(current, answer);
    requestAnimationFrame(() => setTimeout(() => turn === request && readRest(of, turn)));
    return;
  }
  const broken = `${answer.reason} This is the passage as the answer kept it.`;
  drawKept(current, { gone: GONE, changed: CHANGED }[answer.state] ?? broken);
  part("close").focus({ preventScroll: true });
}

function close() {
  request++;
  view.hidden = true;
  document.querySelector("#beside").classList.remove("reading");
}

function moveTo(node, block = "center") {
  node.focus({ preventScroll: true });
  node.scrollIntoView({ block, behavior: still.matches ? "auto" : "smooth" });
}

// To what opened the viewer, or to the chip of the card that is open, if the chat was drawn anew.
function goBack() {
  close();
  drawCards();
  const chip = document.querySelector(`#chat button.chip[value="${CSS.escape(opened?.id ?? "")}"]`);
  const to = opener?.isConnected && opener.offsetParent ? opener : chip;
  if (to) moveTo(to);
}

function step(by) {
  const current = card(opened.id);
  const all = cited(current);
  const next = all[all.indexOf(current) + by];
  if (next) open(next.id);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".goto")) {
    if (!view.contains(button)) opener = button;
    open(button.value);
  } else if (button.matches(".see")) {
    close();
    opened = null;
    front = button.value;
    drawCards();
    const section = panel.querySelector(`#${CSS.escape(front)}`);
    if (section) moveTo(section, "start");
  } else if (button.matches("#sources .back")) {
    const chip = document.querySelector(`#chat button.chip[value="${CSS.escape(button.value)}"]`);
    if (chip) moveTo(chip);
  } else if (button.matches(".viewer .close")) goBack();
  else if (button.matches(".viewer .previous")) step(-1);
  else if (button.matches(".viewer .next")) step(1);
});
document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("dialog, .judge-note");
  if (event.key === "Escape" && !view.hidden && !elsewhere) goBack();
});
document.addEventListener("rag:sources", drawCards);
drawCards();
