// The chat. Runs once, when it is there: `element` holds the turns, `watch` tells when they were drawn anew.

const view = element.closest("#chat");
let count = 0;
let atEnd = true;

view.addEventListener("scroll", () => {
  atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 80;
});

// A new question comes into view; a growing answer stays there, unless the reader has scrolled away.
watch("value", () => {
  const turns = element.querySelectorAll(".turn").length;
  if (atEnd || turns !== count) view.scrollTop = view.scrollHeight;
  count = turns;
});

element.addEventListener("click", (event) => {
  const example = event.target.closest("button.example");
  if (!example) return;
  trigger("example_select", { question: example.textContent });
  // The button goes away with its focus. A finger would only be shown a keyboard.
  if (matchMedia("(hover: hover)").matches) document.querySelector("#ask textarea")?.focus();
});
