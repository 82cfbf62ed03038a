// The form that declares an incident: its consequence while somebody types, first pictures, a filter for customers.
// Without this module every part of it is a button that sends the form.

const form = document.querySelector("form.declare");
const panel = document.querySelector("#consequence");
const said = document.querySelector("#consequence-said");
const DEBOUNCE_MILLISECONDS = 400;

const sent = (extra) => {
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(extra)) body.set(name, value);
  return body;
};

// -- the consequence

let waiting = 0;
let asked = 0;

const show = async () => {
  const mine = ++asked;
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.consequence, {
      method: "POST",
      body: sent({ fragment: "1" }),
      headers: { Accept: "text/html" },
      redirect: "manual",
    });
    if (mine !== asked) return;
    if (answer.ok) {
      const open = [...panel.querySelectorAll("details")].map((each) => each.open);
      panel.innerHTML = await answer.text();
      panel.querySelectorAll("details").forEach((each, at) => (each.open = open[at] ?? each.open));
      said.textContent = "";
    } else {
      said.textContent = answer.type === "opaqueredirect" ? form.dataset.ended : form.dataset.failed;
    }
  } catch {
    if (mine === asked) said.textContent = form.dataset.failed;
  } finally {
    if (mine === asked) panel.removeAttribute("aria-busy");
  }
};

const showSoon = () => {
  clearTimeout(waiting);
  waiting = setTimeout(show, DEBOUNCE_MILLISECONDS);
};

form.addEventListener("input", showSoon);
form.querySelector("[data-plain]").hidden = true;

// -- first pictures: they fill what they name, and the person sees it

const fill = (name, value) => {
  const fields = form.elements.namedItem(name);
  if (fields) fields.value = value;
};

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-picture]");
  if (!button) return;
  event.preventDefault();
  for (const [name, value] of Object.entries(JSON.parse(button.dataset.picture))) fill(name, value);
  form.dispatchEvent(new Event("input", { bubbles: true }));
});

// -- moments: now, in the zone that the form states

const zone = form.elements.namedItem("time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (own && ![...zone.options].some((option) => option.value === own)) zone.add(new Option(own, own));
// A form in which nothing is stated yet begins with the zone that the person lives in, unless it chose one.
const moments = [...form.querySelectorAll("[data-now]")].map((button) => form.elements.namedItem(button.dataset.now));
const isNew = form.elements.namedItem("draft_version").value === "0" && !form.querySelector("[aria-invalid]");
if (own && isNew && !form.dataset.zone && moments.every((field) => !field.value)) zone.value = own;

const localNow = () => {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone.value,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  }).formatToParts(new Date());
  const part = Object.fromEntries(parts.map((each) => [each.type, each.value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
};

for (const button of form.querySelectorAll("[data-now]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.now);
    field.value = field.type === "text" ? localNow().replace("T", " ") : localNow();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// -- customers: those whose name contains what is typed, and those that are chosen

for (const filter of form.querySelectorAll("[data-filter]")) {
  filter.hidden = false;
  const field = filter.querySelector("input");
  const boxes = [...document.getElementById(filter.dataset.filter).querySelectorAll(".box")];
  field.addEventListener("input", (event) => {
    event.stopPropagation();
    const wanted = field.value.trim().toLocaleLowerCase();
    for (const box of boxes) {
      box.hidden = !box.querySelector("input").checked && !box.textContent.toLocaleLowerCase().includes(wanted);
    }
  });
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}
