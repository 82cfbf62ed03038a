// A form whose words are kept as a draft: saved while somebody types; nothing that is typed leaves the page unsaved.
// Without this module a button of the form saves them.

const form = document.querySelector("form[data-draft]");
const AUTOSAVE_MILLISECONDS = 1500;
const RETRY_MILLISECONDS = [2000, 5000, 10000, 30000];
const draftSaid = document.querySelector("#draft-said");
const signInAgain = document.querySelector("#sign-in-again");
let isChanged = false;
let saveTimer = 0;
let saving = null;
let failures = 0;

const tell = (text, ended = false) => {
  if (draftSaid.textContent !== text) draftSaid.textContent = text;
  signInAgain.hidden = !ended;
};

// After a new sign-in in another tab the page proves itself with the token of the new session.
const renew = async () => {
  const answer = await fetch(form.dataset.here, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) return false;
  const other = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = other.querySelector("form[data-draft] [name=csrf_token]");
  const signOut = document.querySelector("header [name=csrf_token]");
  if (!token) return false;
  form.elements.namedItem("csrf_token").value = token.value;
  if (signOut) signOut.value = token.value;
  return true;
};

const written = () => {
  const body = new URLSearchParams(new FormData(form));
  body.set("fragment", "1");
  return body;
};

const post = () =>
  fetch(form.dataset.draft, {
    method: "POST",
    body: written(),
    headers: { Accept: "text/html" },
    redirect: "manual",
  });

const isOver = (answer) => answer.type === "opaqueredirect" || answer.status === 403;

const saveNow = async () => {
  isChanged = false;
  tell(draftSaid.dataset.saving);
  let outcome = "offline";
  try {
    let answer = await post();
    if (isOver(answer) && (await renew())) answer = await post();
    if (answer.ok) {
      const { version } = await answer.json();
      form.elements.namedItem("draft_version").value = version;
      history.replaceState(null, "", form.dataset.here);
      outcome = "saved";
    } else if (isOver(answer)) {
      outcome = "ended";
    } else if (answer.status === 409) {
      outcome = (await answer.json()).conflict ? "conflict" : "refused";
    } else {
      outcome = answer.status >= 500 ? "offline" : "refused";
    }
  } catch {
    // The network is away.
  }
  tell(draftSaid.dataset[outcome], outcome === "ended");
  if (outcome === "saved") {
    failures = 0;
    if (isChanged) saveSoon();
  } else {
    isChanged = true;
    // A conflict waits for the person, who sees both texts with the button.
    if (outcome !== "conflict") saveSoon(RETRY_MILLISECONDS[Math.min(failures++, RETRY_MILLISECONDS.length - 1)]);
  }
  return outcome;
};

const save = () => (saving ??= saveNow().finally(() => (saving = null)));

const saveSoon = (milliseconds = AUTOSAVE_MILLISECONDS) => {
  clearTimeout(saveTimer);
  saveTimer = setTimeout(() => (saving ? saveSoon() : save()), milliseconds);
};

form.addEventListener("input", () => {
  isChanged = true;
  if (!failures) saveSoon();
});

addEventListener("online", () => isChanged && save());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && isChanged && !saving) save();
});

// What is typed is saved before the form leaves the page: where the session is over or the network away, it stays.
let goesOn = false;

form.addEventListener("submit", async (event) => {
  if (goesOn) return;
  event.preventDefault();
  if (form.dataset.going) return;
  form.dataset.going = "yes";
  clearTimeout(saveTimer);
  await saving;
  const outcome = await save();
  delete form.dataset.going;
  if (outcome === "offline" || outcome === "ended") return;
  clearTimeout(saveTimer);
  goesOn = true;
  isChanged = false;
  form.requestSubmit(event.submitter);
});

addEventListener("pageshow", () => (goesOn = false));

addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});
