// Forms: a second click sends nothing twice, and leaving a page with unsent words asks first.

const changed = new Set();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sending) {
    event.preventDefault();
    return;
  }
  form.dataset.sending = "yes";
  changed.delete(form);
});

// The back button shows the page as it was left: its forms can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sending]")) delete form.dataset.sending;
});

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-keep]");
  if (form) changed.add(form);
});

addEventListener("beforeunload", (event) => {
  if (changed.size) event.preventDefault();
});

// After a refused form, the first field that is wrong is where the person goes on.
document.querySelector("[aria-invalid]")?.focus();
