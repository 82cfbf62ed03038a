// Loads an evidence bundle with its progress, saves it, and says its size and digest. Without this module the link loads it.

const place = document.querySelector("[data-make]");
const language = document.documentElement.lang;
const bytes = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB"];
// Above this the digest would need too much memory.
const DIGEST_MAX_BYTES = 500_000_000;

const sized = (count) => {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  return `${bytes.format(count / 1000 ** step)} ${UNITS[step]}`;
};

const said = (name, values = {}) => {
  const words = document.getElementById("bundle-words").content.querySelector(`[data-said="${name}"]`).textContent;
  return words.replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
};

const nameOf = (answer) => /filename="([\w.-]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "evidence.zip";

const reasonOf = async (answer) => {
  try {
    const problem = await answer.json();
    return problem.detail ?? problem.title;
  } catch {
    return `HTTP ${answer.status}`;
  }
};

/** Return the parts of an answer, and say how many bytes there are so far. */
const received = async (answer, say) => {
  const size = Number(answer.headers.get("Content-Length")) || 0;
  const parts = [];
  let done = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done: isOver, value } = await reader.read();
    if (isOver) return new Blob(parts, { type: "application/zip" });
    parts.push(value);
    done += value.length;
    say(done, size);
  }
};

const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

const digestOf = async (blob) => {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const make = async (button) => {
  const box = document.querySelector("[data-progress]");
  const [state, bar] = [box.querySelector("[data-state]"), box.querySelector("progress")];
  const began = Date.now();
  box.hidden = false;
  bar.hidden = false;
  bar.removeAttribute("value");
  button.disabled = true;
  const tick = () => (state.textContent = said("making", { seconds: Math.round((Date.now() - began) / 1000) }));
  tick();
  let clock = setInterval(tick, 1000);
  try {
    const answer = await fetch(place.dataset.path);
    clearInterval(clock);
    if (!answer.ok) throw new Error(await reasonOf(answer));
    const blob = await received(answer, (done, size) => {
      if (size) bar.value = done / size;
      state.textContent = said("loading", { done: sized(done), size: size ? sized(size) : "?" });
    });
    const name = nameOf(answer);
    save(blob, name);
    const lines = [said("done", { name, size: sized(blob.size) })];
    if (blob.size <= DIGEST_MAX_BYTES) lines.push(`${said("digest")} ${await digestOf(blob)}`);
    state.textContent = lines.join(" ");
    document.querySelector("pre.command").textContent = `greffier verify ${name} --trust trust`;
  } catch (error) {
    state.textContent = said("failed", { reason: error.message });
  } finally {
    clearInterval(clock);
    bar.hidden = true;
    button.disabled = false;
  }
};

if (place) {
  const button = place.querySelector("button");
  place.querySelector("a").hidden = true;
  button.hidden = false;
  button.addEventListener("click", () => make(button));
}
