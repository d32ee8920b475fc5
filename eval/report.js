// The page is complete without this: it filters the questions by kind, and unfolds what a link leads to.
const chooser = document.getElementById("kind");
const filter = document.getElementById("filter");
if (chooser) {
  filter.hidden = false;
  const choose = () => {
    for (const card of document.querySelectorAll(".question")) {
      card.hidden = chooser.value !== "" && card.dataset.kind !== chooser.value;
    }
    for (const group of document.querySelectorAll(".group")) {
      const shown = group.querySelectorAll(".question:not([hidden])").length;
      group.querySelector(".count").textContent = shown;
      if (group.tagName === "SECTION") group.hidden = shown === 0;
    }
  };
  chooser.addEventListener("change", choose);
  choose(); // a browser may keep the choice when the page is loaded again
}
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let up = target; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", unfold);
if (location.hash) unfold();
