// Checks in the reader's browser that the log has the entries of this page: bytes, inclusion proof, signed checkpoint.
// The verifier asks nobody; this module only loads what it needs. Each load by an auditor is in the log.

import { VerificationError, leafHash, parseLeaf, parseProof, parseVerifierKey, verifyCheckpoint, verifyInclusion } from "./log-verifier.js";

const words = document.getElementById("proof-words");
const keysByPath = new Map();

const refuse = (step, reason) => {
  throw new VerificationError(step, reason);
};

const load = async (path) => {
  let answer;
  try {
    answer = await fetch(path, { headers: { Accept: "*/*" } });
  } catch (error) {
    refuse("loading", `${path}: ${error.message}`);
  }
  if (!answer.ok) refuse("loading", `${path}: HTTP ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
};

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const equal = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

const readJson = (bytes, step) => {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return refuse(step, "is not JSON");
  }
};

const loadKeys = async (path) => {
  const lines = new TextDecoder().decode(await load(path)).split("\n").filter((line) => line !== "");
  const keys = [];
  for (const line of lines) {
    try {
      keys.push(await parseVerifierKey(line));
    } catch (error) {
      // A browser has no ML-DSA-44. The Ed25519 key of the same log is enough.
      if (error.reason !== "is of no known type") throw error;
    }
  }
  if (!keys.length) refuse("verifier key", "there is none that a browser can use");
  return keys;
};

/** Return the keys of the log, which are loaded once for a page. */
export const keysOf = (path) => {
  if (!keysByPath.has(path)) keysByPath.set(path, loadKeys(path));
  return keysByPath.get(path);
};

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Return the checkpoint under which the entry of a place was proven; throws a VerificationError that names its step.
 *
 * 1. Entry: the loaded bytes are those that this page shows.
 * 2. Leaf: they are canonical.
 * 3. Proof: it is in the one form, and of this index.
 * 4. Checkpoint signature: by one of the log's keys.
 * 5. Inclusion: the leaf is at its index under the root of the checkpoint.
 */
const verify = async (place) => {
  const index = BigInt(place.dataset.entryProof);
  const [entry, proofBytes, keys] = [
    readJson(await load(place.dataset.entry), "entry"),
    await load(place.dataset.proof),
    await keysOf(place.dataset.keys),
  ];
  // 1.
  if (typeof entry?.leaf_base64 !== "string" || BigInt(entry.index ?? -1) !== index) refuse("entry", "is another entry");
  let leaf;
  try {
    leaf = fromBase64(entry.leaf_base64);
  } catch {
    refuse("entry", "is not base64");
  }
  if (!equal(leaf, fromBase64(place.dataset.leaf))) refuse("entry", "the loaded bytes are not those of this page");
  // 2.
  parseLeaf(leaf);
  // 3.
  const proof = parseProof(proofBytes);
  if (proof.index !== index) refuse("proof", `is of entry ${proof.index}`);
  // 4. and 5.
  const checkpoint = await verifyCheckpoint(proof.checkpoint, keys);
  await verifyInclusion(await leafHash(leaf), index, checkpoint.size, proof.hashes, checkpoint.root);
  return { index, size: checkpoint.size, origin: checkpoint.origin, keys: keys.map((key) => hex(key.id)).join(", ") };
};

const said = (name, values = {}) => {
  const line = words.content.querySelector(`[data-said="${name}"]`).cloneNode(true);
  line.textContent = (line.textContent || "{text}").replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
  return line;
};

/** Check one place and say there what was found; returns whether the proof holds. */
const check = async (place) => {
  const result = place.querySelector("[data-result]");
  const button = place.querySelector("button");
  button.disabled = true;
  try {
    const found = await verify(place);
    result.className = "info";
    result.replaceChildren(said("holds", found));
    return true;
  } catch (error) {
    const step = error instanceof VerificationError ? error.step : "loading";
    const known = words.content.querySelector(`[data-said="step ${step}"]`) ? step : "proof";
    result.className = "alert";
    result.replaceChildren(said("fails"), said(`step ${known}`), said("reason", { text: error.message }));
    return false;
  } finally {
    button.disabled = false;
    for (const explained of document.querySelectorAll("[data-checked-words]")) explained.hidden = false;
  }
};

for (const explained of document.querySelectorAll("[data-without-script]")) explained.hidden = true;

const places = [...document.querySelectorAll("[data-entry-proof]")];
for (const place of places) {
  const button = place.querySelector("button");
  button.hidden = false;
  button.addEventListener("click", () => check(place));
}

const all = document.querySelector("[data-check-all]");
if (all) {
  all.hidden = false;
  const status = all.querySelector("[data-all-checked]");
  const button = all.querySelector("button");
  button.addEventListener("click", async () => {
    button.disabled = true;
    let held = 0;
    for (const place of places) held += await check(place);
    status.textContent = status.dataset.words.replace("{held}", held).replace("{count}", places.length);
    button.disabled = false;
  });
}
