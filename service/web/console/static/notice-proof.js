// Checks the notice of this page in the reader's browser: its signature, its timestamp, its place in the log, its words.
// Says what holds, what does not and by which file, and what was not checked. Without it the page says how to check by hand.
import { verifyDetached, verifyTimestamp } from "./cms-verifier.js";
import { checkpointOf, parseVerifierKey, verifyNoticeProof } from "./log-verifier.js";
import { locale, written } from "./times.js";

const place = document.querySelector("[data-notice-proof]");
const given = place.dataset;
const templates = new Map();
for (const each of place.querySelectorAll("[data-said]")) templates.set(each.dataset.said, each.textContent);

const say = (name, values = {}) => {
  const line = place.querySelector(`[data-said="${name}"]`);
  line.textContent = (templates.get(name) || "{reason}").replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
  line.hidden = false;
};

const moment = (text) => {
  const format = { dateStyle: "long", timeStyle: "long", timeZone: "UTC" };
  return written(new Intl.DateTimeFormat(locale, format), new Date(text));
};

const fetched = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${answer.status} ${path}`);
  return new Uint8Array(await answer.arrayBuffer());
};

const sha256 = async (bytes) => {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const isUnsupported = (error) => error.unsupported || /cannot be checked here/.test(error.reason ?? "");

/** Runs one check; returns what it found, or the error that says why it does not hold. */
const tried = async (work) => {
  try {
    return { found: await work() };
  } catch (error) {
    return { error };
  }
};

/** Returns the names of the files that the log commits otherwise, or of the proof itself. */
const blamed = async (proof, keys, parts) => {
  const own = await tried(() => verifyNoticeProof({ proof, keys }));
  if (own.error) return isUnsupported(own.error) ? [] : ["proof"];
  const wrong = [];
  for (const [name, part] of Object.entries(parts)) {
    if ((await tried(() => verifyNoticeProof({ proof, keys, parts: { [name]: part } }))).error) wrong.push(name);
  }
  return wrong;
};

/** Returns whether the document says that its timestamp is over the checkpoint of the proof, and not over its signature. */
const sharesTimestamp = (bytes) => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)).timestamping === "by_checkpoint";
  } catch {
    return false; // the signature tells of it
  }
};

/** Throws unless the document is of this notice, and the words beside it are those whose digest it states. */
const verifyWords = async (bytes, words) => {
  const content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (content.notice_id !== given.notice) throw new Error("the document is of another notice");
  const own = content.renderings.find(
    (each) => each.language === given.language && each.media_type === "text/html" && each.time_zone === undefined,
  );
  if (own?.sha256 !== (await sha256(words))) throw new Error("the words shown are not those that were sealed");
};

const check = async () => {
  if (!globalThis.crypto?.subtle) {
    say("unsupported");
    return "info";
  }
  const load = (name) => (given[name] ? fetched(given[name]) : undefined);
  const names = ["document", "signature", "timestamp", "proof", "words"];
  const [document_, signature, timestamp, proof, words] = await Promise.all(names.map(load));
  const keys = await Promise.all(given.keys.trim().split("\n").map(parseVerifierKey));
  const parts = { document: document_, signature, ...(timestamp && { timestamp }) };
  const signed = await tried(() => verifyDetached(document_, signature));
  const shared = sharesTimestamp(document_);
  const dated = timestamp && (await tried(() =>
    shared ? verifyTimestamp(checkpointOf(proof), timestamp, "checkpoint") : verifyTimestamp(signature, timestamp)));
  const logged = proof && (await tried(async () => {
    const found = await verifyNoticeProof({ proof, keys, parts });
    if (found.leaf.subjects.notice !== given.notice) throw new Error("the entry is of another notice");
    if (shared && found.compared.includes("timestamp")) throw new Error("the entry has a timestamp of its own");
    return found;
  }));
  const read = await tried(() => verifyWords(document_, words));

  // What does not hold, by the file that is to blame.
  const wrong = new Set(logged?.error && !isUnsupported(logged.error) ? await blamed(proof, keys, parts) : []);
  const fails = (result) => result?.error && !isUnsupported(result.error);
  if (fails(logged) && !wrong.size) wrong.add("proof");
  if (fails(signed) && !wrong.has("document") && !wrong.has("signature")) wrong.add("signature");
  // A timestamp fails also where what it is over was changed, or the document that says what that is.
  const blameless = wrong.has("document") || wrong.has(shared ? "proof" : "signature");
  if (fails(dated) && !blameless) wrong.add("timestamp");
  if (read.error && !wrong.has("document")) wrong.add("words");

  if (signed.found) say("signed", signed.found);
  if (dated?.found) say(shared ? "dated_together" : "dated", { ...dated.found, at: moment(dated.found.at) });
  if (logged?.found) {
    const { index, checkpoint, leaf, compared } = logged.found;
    const compare = compared.map((name) => given[`part${name[0].toUpperCase()}${name.slice(1)}`]).join(", ");
    say("logged", { index, size: checkpoint.size, origin: checkpoint.origin, at: moment(leaf.at), compared: compare });
  }
  if (!read.error) say("read");
  if (!timestamp) say("no_timestamp");
  if (!proof) say("no_proof");
  for (const [name, result] of Object.entries({ signed, dated, logged })) {
    if (result?.error && isUnsupported(result.error)) say(`${name}_unsupported`, { reason: result.error.reason });
  }
  if (wrong.size) {
    const said = [...wrong].map((name) => given[`part${name[0].toUpperCase()}${name.slice(1)}`]).join(", ");
    say("not_genuine", { parts: said });
    say("reason", { reason: [signed, dated, logged, read].filter(fails).map((each) => each.error.message).join("; ") });
    return "alert";
  }
  if (signed.found && dated?.found && logged?.found) {
    say("genuine", {
      signer: signed.found.name,
      fingerprint: signed.found.fingerprint,
      at: moment(dated.found.at),
      authority: dated.found.name,
      index: logged.found.index,
      origin: logged.found.checkpoint.origin,
    });
    return "genuine";
  }
  say("incomplete");
  return "info";
};

const start = async () => {
  for (const each of place.querySelectorAll("[data-said]")) each.hidden = true;
  place.querySelector("[data-verdict]").className = "";
  say("checking");
  let verdict;
  try {
    verdict = await check();
  } catch (error) {
    say("not_loaded", { reason: error.message });
    verdict = "alert";
  }
  place.querySelector('[data-said="checking"]').hidden = true;
  place.querySelector("[data-verdict]").className = verdict;
  given.verdict = verdict;
};

place.hidden = false;
place.querySelector("button").addEventListener("click", start);
await start();
