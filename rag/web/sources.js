// The sources. Runs once, when the panel is there: `element` holds the cards, `watch` tells when they were drawn anew.
// A chip in the chat opens its card; the card's own marker leads back to the chip.

const still = matchMedia("(prefers-reduced-motion: reduce)");
let opened = "";
let count = 0;

const target = () => (opened ? element.querySelector(`#${CSS.escape(opened)}`) : null);

function draw() {
  const sections = [...element.querySelectorAll(".sources")];
  if (sections.length !== count) opened = ""; // another answer has sources now: they come first
  count = sections.length;
  const shown = target()?.closest(".sources") ?? sections.at(-1);
  for (const section of sections) section.hidden = section !== shown;
  for (const card of element.querySelectorAll(".card")) card.classList.toggle("open", card === target());
}

function moveTo(node, part = node) {
  node.focus({ preventScroll: true });
  part.scrollIntoView({ block: "center", behavior: still.matches ? "auto" : "smooth" });
}

// What of a card to bring into view: all of it, or its mark where it is higher than the window.
function inView(card) {
  const room = Math.min(window.innerHeight, element.closest("#sources").clientHeight);
  return card.offsetHeight < room ? card : (card.querySelector("mark") ?? card.firstElementChild);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.goto, button.back");
  if (!button) return;
  if (button.matches(".back")) {
    const chip = document.querySelector(`button.chip[value="${CSS.escape(button.value)}"]`);
    if (chip) moveTo(chip);
    return;
  }
  opened = button.value;
  draw();
  const place = target();
  if (place) moveTo(place, inView(place));
});

watch("value", draw);
draw();
