// The Model panel. Runs once. Every event is answered by a new `props.value`, made by models.py; the key goes to the
// server and never comes back.

const panel = element.querySelector("dialog");
const form = panel.querySelector("form");
const test = panel.querySelector(".test-model");
const tested = panel.querySelector(".tested");
const said = panel.querySelector(".said");
const endpoint = form.querySelector(".endpoint"); // null where none can be set
let count = 0;
let looking = 0; // the count of the look that came with opening
let testing = 0; // of the test that runs
let chosen = 0; // and of the last choice
let how = "server"; // answers are made, as this page was told

function send(event, data = {}) {
  count += 1;
  trigger(event, { ...data, count });
  return count;
}

// -- opening and closing --------------------------------------------------------------------------------------------

element.querySelector(".open-models").addEventListener("click", () => {
  said.textContent = "";
  panel.showModal();
  looking = send("look_at_models");
});
panel.querySelector(".close-models").addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => event.target === panel && panel.close()); // beside it

// -- what is told ---------------------------------------------------------------------------------------------------

watch("value", () => {
  const told = props.value;
  const answered = Number(told.count);
  if (answered === testing) endTest();
  if (answered < chosen) return; // it is about what was chosen before
  if (told.llm === undefined) return complain(told);
  if (told.how !== how && !told.says) return lose();
  how = told.how;
  for (const part of ["llm", "local"]) panel.querySelector(`.${part}`).innerHTML = told[part]; // escaped by the server
  for (const time of panel.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { timeStyle: "short" });
  }
  panel.querySelector(".server").textContent = told.server;
  panel.querySelector(".try").hidden = !told.has_llm;
  if (told.tested) tested.textContent = told.tested;
  if (endpoint) {
    endpoint.querySelector(".about-key").textContent = told.has_key
      ? "A key is set. Leave the field empty to keep it."
      : "Kept in the memory of this server only, and never sent back here. Many local servers need none.";
  }
  if (told.says) accepted(told);
  else if (answered === looking) choose(how);
});

function accepted(told) {
  complain({});
  said.textContent = told.says;
  if (endpoint) form.elements.key.value = "";
  if (!testing) endTest(); // how another model did
  choose(how);
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
  if (!input) return;
  const line = document.createElement("p");
  Object.assign(line, { className: "problem", id: "model-problem", textContent: sentence(problem) });
  line.setAttribute("role", "alert");
  input.closest("label").after(line);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", line.id);
  input.focus();
}

// A session that was out of reach for long, as on a laptop that slept, is forgotten by the server. Nobody shall be
// answered by an LLM that was not chosen: it is quotes then.
function lose() {
  chosen = send("choose_model", { how: "quotes" });
}

window.addEventListener("focus", () => how !== "server" && send("look_at_models"));

const sentence = (words) => words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");

// -- testing: one at a time -----------------------------------------------------------------------------------------

test.addEventListener("click", () => {
  if (testing) return;
  test.setAttribute("aria-disabled", "true"); // not disabled: that would take the focus away
  tested.textContent = "It is being asked…";
  testing = send("test_model");
});

function endTest() {
  testing = 0;
  test.removeAttribute("aria-disabled");
  tested.textContent = "asks it for one word";
}

// -- choosing -------------------------------------------------------------------------------------------------------

function choose(way) {
  form.elements.how.value = way;
  if (endpoint) endpoint.hidden = way !== "endpoint";
}

form.addEventListener("change", (event) => {
  if (event.target.name === "how") choose(event.target.value);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  chosen = send("choose_model", Object.fromEntries(new FormData(form)));
});
