// The chat. Runs once, when it is there: `element` holds the turns, `watch` tells when they were drawn anew.

const view = element.closest("#chat");
let count = 0;
let atEnd = true;

view.addEventListener("scroll", () => {
  atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 80;
});

// Gradio drops an update of the box when another follows at once, so it is emptied here, as somebody typing would.
function emptyBox() {
  const box = document.querySelector("#ask textarea");
  box.value = "";
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// A new question comes into view; a growing answer stays there, unless the reader has scrolled away.
watch("value", () => {
  const turns = element.querySelectorAll(".turn");
  if (atEnd || turns.length !== count) view.scrollTop = view.scrollHeight;
  // A question that was not accepted stays in the box, to be mended.
  if (turns.length > count && !turns[turns.length - 1].querySelector(".notice")) emptyBox();
  count = turns.length;
});

element.addEventListener("click", (event) => {
  const example = event.target.closest("button.example");
  if (!example) return;
  trigger("example_select", { question: example.textContent });
  // The button goes away with its focus. A finger would only be shown a keyboard.
  if (matchMedia("(hover: hover)").matches) document.querySelector("#ask textarea")?.focus();
});
