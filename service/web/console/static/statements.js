// Prepared statements: a filter by words, and only the values that the chosen statement needs.
// Without this module all statements are listed, and all values can be typed.

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

for (const part of document.querySelectorAll("[data-statements]")) {
  const list = part.querySelector("select");
  const filter = part.querySelector("[data-statement-filter]");
  const groups = [...list.querySelectorAll("optgroup")];
  const options = groups.flatMap((group) => [...group.children].map((option) => ({ group, option })));

  const showNeeded = () => {
    const needs = list.selectedOptions[0]?.dataset.needs?.split(" ") ?? [];
    for (const field of part.querySelectorAll("[data-value]")) field.hidden = !needs.includes(field.dataset.value);
  };

  filter.hidden = false;
  const search = filter.querySelector("input");
  search.addEventListener("input", (event) => {
    // What is searched for is no fact.
    event.stopPropagation();
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    for (const group of groups) group.replaceChildren();
    for (const { group, option } of options) {
      const said = plain(option.dataset.words);
      if (words.every((word) => said.includes(word))) group.append(option);
    }
    for (const group of groups) group.hidden = !group.children.length;
    const first = groups.find((group) => group.children.length)?.firstElementChild;
    if (words.length && first) first.selected = true;
    showNeeded();
  });
  search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  list.addEventListener("change", showNeeded);
  showNeeded();
}
