// What the pages that check proofs share: loading, keys of the log, and saying what was found in the page's words.

import { VerificationError, parseVerifierKey } from "./log-verifier.js";

const words = document.getElementById("proof-words");
const keysByPath = new Map();

/** Throw a VerificationError that names its step. */
export const refuse = (step, reason) => {
  throw new VerificationError(step, reason);
};

/** Return the bytes at a path of this service. */
export const load = async (path) => {
  let answer;
  try {
    answer = await fetch(path, { headers: { Accept: "*/*" } });
  } catch (error) {
    refuse("loading", `${path}: ${error.message}`);
  }
  if (!answer.ok) refuse("loading", `${path}: HTTP ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
};

export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

export const equal = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

/** Return the JSON in bytes, or refuse at a step. */
export const readJson = (bytes, step) => {
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

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Return a line of the page's words with its values filled in. */
export const said = (name, values = {}) => {
  const line = words.content.querySelector(`[data-said="${name}"]`).cloneNode(true);
  line.textContent = (line.textContent || "{text}").replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
  return line;
};

/** Say at a place which step failed, and the reason. */
export const sayFailure = (place, error) => {
  const step = error instanceof VerificationError ? error.step.replaceAll(" ", "_") : "loading";
  const known = words.content.querySelector(`[data-said="step ${step}"]`);
  place.className = "alert";
  place.replaceChildren(said("fails"), ...(known ? [said(`step ${step}`)] : []), said("reason", { text: error.message }));
};

/** Show what was checked here and what was not. */
export const showExplained = () => {
  for (const explained of document.querySelectorAll("[data-checked-words]")) explained.hidden = false;
};

for (const explained of document.querySelectorAll("[data-without-script]")) explained.hidden = true;
