// A table with a box in each row: one box for all that are shown, how many are chosen, and a filter as you type.

const form = document.querySelector("form[data-customers]");
const find = document.querySelector("form[data-filter] input[type=search]");
const shownCount = document.querySelector("[data-shown]");
const chosenCount = form?.querySelector("[data-chosen]");
const rows = form ? [...form.querySelectorAll("tbody tr")] : [];
const boxOf = (row) => row.querySelector("input[type=checkbox]");
const everyShown = document.createElement("input");

const count = () => {
  const shown = rows.filter((row) => !row.hidden);
  const chosen = rows.filter((row) => boxOf(row)?.checked).length;
  const shownChosen = shown.filter((row) => boxOf(row)?.checked).length;
  everyShown.checked = shown.length > 0 && shownChosen === shown.length;
  everyShown.indeterminate = shownChosen > 0 && shownChosen < shown.length;
  if (chosenCount) {
    chosenCount.hidden = chosen === 0;
    chosenCount.textContent = chosenCount.dataset.chosen.replace("%", chosen);
  }
};

const head = form?.querySelector("thead th .unseen");
if (head && rows.some(boxOf)) {
  everyShown.type = "checkbox";
  everyShown.setAttribute("aria-label", head.textContent);
  head.replaceWith(everyShown);
  everyShown.addEventListener("change", () => {
    for (const row of rows) if (!row.hidden && boxOf(row)) boxOf(row).checked = everyShown.checked;
    count();
  });
  form.addEventListener("change", count);
  count();
}

find?.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const row of rows) {
    row.hidden = !row.dataset.name.includes(wanted);
    // What is not seen is not changed by accident.
    if (row.hidden && boxOf(row)) boxOf(row).checked = false;
  }
  if (shownCount) shownCount.textContent = shownCount.dataset.shown.replace("%", rows.filter((row) => !row.hidden).length);
  count();
});
