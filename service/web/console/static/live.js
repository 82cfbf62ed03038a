// Live updates: the parts of a page marked data-live-part are fetched again when something happened to an incident.
// Focus, open details and scroll position stay. Without this module the page has a link that loads it again.

const SETTLE_MILLISECONDS = 600;
const AGAIN_MILLISECONDS = 30_000;

const news = document.getElementById("news");
const changed = new Set();
let source;
let timer;
let isFetching = false;

const replace = (part, fresh) => {
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = [...part.querySelectorAll("details[open] > summary[id]")].map((summary) => summary.id);
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) document.getElementById(id)?.parentElement.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

const announce = (count) => {
  if (!news || !count) return;
  news.textContent = count === 1 ? news.dataset.one : news.dataset.many.replace("{count}", count);
};

const refresh = async () => {
  if (isFetching) return later();
  isFetching = true;
  const count = changed.size;
  changed.clear();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.redirected || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live-part]")) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.dataset.shown) {
        part.dataset.shown = fresh.innerHTML;
        replace(part, fresh);
      }
    }
    announce(count);
  } catch {
    // The connection is gone; the stream notices it too, and everything is fetched when it is back.
  } finally {
    isFetching = false;
  }
};

// Many events of one commit are one refresh.
const later = () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, SETTLE_MILLISECONDS);
};

const disconnect = () => {
  source?.close();
  source = undefined;
};

const connect = () => {
  if (source || document.visibilityState === "hidden") return;
  source = new EventSource("/events");
  source.addEventListener("incident", (event) => {
    changed.add(JSON.parse(event.data).incident_id);
    later();
  });
  source.addEventListener("reset", later);
  source.addEventListener("error", () => {
    // The browser connects again by itself, unless it was refused: the session ended, or there are too many streams.
    if (source?.readyState !== EventSource.CLOSED) return;
    disconnect();
    setTimeout(connect, AGAIN_MILLISECONDS);
  });
};

// A page that nobody looks at holds no connection; it is brought up to date when it is looked at again.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") return disconnect();
  connect();
  later();
});

if (document.querySelector("[data-live-part]")) connect();
