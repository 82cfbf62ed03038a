// A part of a page that shows what happens now: fetched again every few seconds, unless somebody is at work in it.

const part = document.querySelector("[data-refresh]");

const refresh = async () => {
  const isBusy = part.contains(document.activeElement) || getSelection().toString();
  if (document.visibilityState !== "visible" || isBusy) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
  if (fresh) part.replaceChildren(...fresh.childNodes);
};

if (part) {
  // A service that cannot be reached leaves the page as it is.
  setInterval(() => refresh().catch(() => {}), Number(part.dataset.refresh) * 1000);
}
