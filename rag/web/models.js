// The Model panel. Runs once. `server` has two functions of models.py, and the event `choose_model` is answered by a new
// `props.value`; the key goes to the server and never comes back.

const panel = element.querySelector("dialog");
const form = panel.querySelector("form");
const use = form.querySelector("[type=submit]");
const test = panel.querySelector(".test-model");
const tested = panel.querySelector(".tested");
const said = panel.querySelector(".said");
const endpoint = form.querySelector(".endpoint"); // null where none can be set
let llm = ""; // who answers, as models.py names them: each question says so
let count = 0;
const nothing = { problem: "the server does not answer; try again" }; // then Gradio hands on no reply
let choosing = 0; // the count of the choice that is on its way; nothing else is told meanwhile

(window.asking ??= {}).llm = () => llm;

// -- opening and closing --------------------------------------------------------------------------------------------

element.querySelector(".open-models").addEventListener("click", async () => {
  said.textContent = "";
  panel.showModal();
  const told = await look();
  if (told) choose(told.how);
});
panel.querySelector(".close-models").addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => event.target === panel && panel.close()); // beside it

// -- what is told ---------------------------------------------------------------------------------------------------

// What is there now, if it is still about who answers now.
async function look() {
  const of = llm;
  return show((await server.look_at_models(of)) ?? nothing, of);
}

function show(told, of) {
  if (of !== llm || choosing) return null;
  if (told.closed) return lose();
  if (told.problem) return complain(told);
  draw(told);
  return told;
}

function draw(told) {
  panel.querySelector(".llm").innerHTML = told.answering; // escaped by the server
  panel.querySelector(".local").innerHTML = told.local;
  for (const time of panel.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { timeStyle: "short" });
  }
  panel.querySelector(".server").textContent = told.server;
  panel.querySelector(".try").hidden = !told.has_llm;
  if (endpoint) {
    endpoint.querySelector(".about-key").textContent = told.has_key
      ? "A key is set. Leave the field empty to keep it."
      : "Kept in the memory of this server only, and never sent back here. Many local servers need none.";
  }
}

// In words, beside the field that it is about.
function complain({ problem, field }) {
  form.querySelector(".problem")?.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  said.textContent = field || !problem ? "" : sentence(problem);
  const input = field && form.elements[field];
  if (!input) return null;
  const line = document.createElement("p");
  Object.assign(line, { className: "problem", id: "model-problem", textContent: sentence(problem) });
  line.setAttribute("role", "alert");
  input.closest("label").after(line);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", line.id);
  input.focus();
  return null;
}

// The server closes an endpoint whose page was out of reach for long, as on a laptop that slept. Nobody shall be answered
// by an LLM that was not chosen: it is quotes then.
function lose() {
  sendChoice({ how: "quotes" });
  return null;
}

window.addEventListener("focus", () => llm && look());

const sentence = (words) => words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");

// -- testing: one at a time -----------------------------------------------------------------------------------------

let testing = null; // who is tested

test.addEventListener("click", async () => {
  if (testing !== null) return;
  test.setAttribute("aria-disabled", "true"); // not disabled: that would take the focus away
  tested.textContent = "It is being asked…";
  const of = (testing = llm);
  const told = (await server.test_model(of)) ?? nothing;
  testing = null;
  endTest();
  if (show(told, of) && told.tested) tested.textContent = told.tested;
});

function endTest() {
  test.removeAttribute("aria-disabled");
  tested.textContent = "asks it for one word";
}

// -- choosing: one after the other ----------------------------------------------------------------------------------

function choose(way) {
  form.elements.how.value = way;
  if (endpoint) endpoint.hidden = way !== "endpoint";
}

form.addEventListener("change", (event) => {
  if (event.target.name === "how") choose(event.target.value);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!choosing) sendChoice(Object.fromEntries(new FormData(form)));
});

function sendChoice(choice) {
  const mine = (choosing = ++count);
  use.setAttribute("aria-disabled", "true");
  trigger("choose_model", { ...choice, before: llm, count: mine });
  setTimeout(() => choosing === mine && endChoice(nothing.problem), 20_000);
}

function endChoice(problem) {
  choosing = 0;
  use.removeAttribute("aria-disabled");
  if (problem) complain({ problem });
}

watch("value", () => {
  const told = props.value;
  if (Number(told.count) !== choosing) return;
  endChoice();
  if (told.problem) return complain(told);
  llm = told.llm;
  draw(told);
  complain({});
  said.textContent = told.says;
  if (endpoint) form.elements.key.value = "";
  if (testing === null) endTest(); // how another model did
  choose(told.how);
});
