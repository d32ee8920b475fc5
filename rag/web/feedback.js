// The verdicts below the answers. Runs once. The chat is drawn anew with every sentence, so what was chosen is kept
// here and shown again: by answer, { verdict, note, said }.

const chosen = new Map();
const redrawn = new MutationObserver(showAll);
let watched = null;
let count = 0;

function show(row) {
  const { verdict, said } = chosen.get(row.dataset.answer) ?? {};
  for (const button of row.querySelectorAll("button[value]")) {
    const pressed = String(button.value === verdict);
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
  }
  row.querySelector(".judge-note").hidden = !verdict;
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

function send(row, verdict) {
  const note = row.querySelector(".judge-note input").value;
  chosen.set(row.dataset.answer, { verdict });
  watchOver(row.closest("#chat"));
  show(row);
  trigger("judge", { answer: row.dataset.answer, verdict, note, count: ++count });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".judge button");
  if (!button) return;
  const row = button.closest(".judge");
  send(row, button.matches(".judge-send") ? chosen.get(row.dataset.answer)?.verdict : button.value);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches(".judge-note input")) return;
  const row = event.target.closest(".judge");
  send(row, chosen.get(row.dataset.answer)?.verdict);
});

watch("value", () => {
  const reply = element.querySelector("[data-answer]");
  if (!reply) return;
  const judged = chosen.get(reply.dataset.answer);
  if (judged) judged.said = reply.textContent;
  showAll();
});
