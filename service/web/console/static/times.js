// Times as a person reads them: how long ago, how long still, and the moment in the reader's own zone.
// Without this module each <time> shows its absolute words, which stay in the page.

const language = document.documentElement.lang || "en";
/** For Intl: the English of the pages writes 29 November 2026, 14:02, as the server does. */
export const locale = language === "en" ? "en-GB" : language;
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always" });
/** Write a moment; the first day of a month is an ordinal in French, which Intl does not know. */
export const written = (format, at) => {
  const said = format.format(at);
  return language === "fr" ? said.replace(/(^| )1 (?=\p{L})/u, (found) => found.replace("1", "1er")) : said;
};
const localMoment = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
const units = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** Say how far a moment is from now, in the largest unit that fits. */
export const fromNow = (at, now = Date.now()) => {
  const seconds = Math.round((at - now) / 1000);
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length * 2) ?? units.at(-1);
  return relative.format(Math.trunc(seconds / size), unit);
};

/** Say what is left until a moment as hours, minutes and seconds; a minus where it is past. */
export const left = (at, now = Date.now()) => {
  const seconds = Math.abs(Math.trunc((at - now) / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return (at < now ? "−" : "") + parts.map((part) => String(part).padStart(2, "0")).join(":");
};

const shown = (time) => {
  let mark = time.nextElementSibling;
  if (!mark?.matches("[data-from-now]")) {
    mark = document.createElement("span");
    mark.dataset.fromNow = "";
    mark.className = time.matches("[data-countdown]") ? "countdown" : "from-now";
    // The time itself is read out; a number that changes each second would be read out each second.
    mark.setAttribute("aria-hidden", "true");
    time.after(mark);
    time.title = written(localMoment, new Date(time.dateTime));
  }
  return mark;
};

const refresh = () => {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-relative], time[data-countdown]")) {
    const at = Date.parse(time.dateTime);
    const isCountdown = time.matches("[data-countdown]");
    const said = isCountdown ? left(at, now) : fromNow(at, now);
    const mark = shown(time);
    if (mark.textContent !== said) mark.textContent = said;
    if (isCountdown) mark.classList.toggle("past", at < now);
  }
};

refresh();
setInterval(() => document.visibilityState === "visible" && refresh(), 1000);
document.addEventListener("visibilitychange", refresh);
