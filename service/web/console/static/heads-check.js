// Checks in the reader's browser that one signed head of the log extends another, and who cosigned them.

import { fromBase64, hex, keysOf, load, readJson, refuse, said, sayFailure, showExplained } from "./proof-page.js";
import { VerificationError, parseVerifierKey, verifyCheckpoint, verifyConsistency, verifyCosignature } from "./log-verifier.js";
import { locale, written } from "./times.js";

const form = document.querySelector("form[data-check-heads]");
const result = document.querySelector("[data-result]");
const moment = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "long", timeZone: "UTC" });

const sizeOf = (name) => {
  const text = form.elements.namedItem(name).value.trim();
  return /^[0-9]{1,18}$/.test(text) ? BigInt(text) : refuse(`${name} head`, "its size is no number");
};

/** Return the checkpoint of a size, signed by a key of the log; `name` says which of both fails. */
const headOf = async (name, size, keys) => {
  const note = await load(`${form.dataset.heads}${size}`);
  let checkpoint;
  try {
    checkpoint = await verifyCheckpoint(note, keys);
  } catch (error) {
    refuse(`${name} head`, error.message);
  }
  if (checkpoint.size !== size) refuse(`${name} head`, `is of size ${checkpoint.size}`);
  return { note, ...checkpoint };
};

/** Return a line for each configured witness whose cosignature of a head holds. */
const cosignersOf = async (head) => {
  const lines = [];
  for (const text of form.dataset.witnesses.split("\n").filter((line) => line !== "")) {
    try {
      const key = await parseVerifierKey(text);
      const at = written(moment, new Date(Number(await verifyCosignature(head.note, key)) * 1000));
      lines.push(said("cosigned", { witness: key.name, size: head.size, at }));
    } catch (error) {
      // A head need not be cosigned, and a browser has no ML-DSA-44. The list below says who cosigned.
      if (!(error instanceof VerificationError)) throw error;
    }
  }
  return lines;
};

/**
 * Return what was found; throws a VerificationError that names its step.
 *
 * 1. Each head is signed by a key of the log, and is of the size that was asked for.
 * 2. Consistency: the newer tree begins with the older one.
 */
const verify = async () => {
  const [older, newer] = [sizeOf("older"), sizeOf("newer")];
  const keys = await keysOf(form.dataset.keys);
  // 1.
  const [old, young] = [await headOf("older", older, keys), await headOf("newer", newer, keys)];
  // 2.
  const path = `${form.dataset.consistency}?old_size=${older}&new_size=${newer}`;
  const proof = readJson(await load(path), "consistency");
  if (!Array.isArray(proof?.hashes)) refuse("consistency", "is no proof");
  let hashes;
  try {
    hashes = proof.hashes.map(fromBase64);
  } catch {
    refuse("consistency", "is not base64");
  }
  await verifyConsistency(older, old.root, newer, young.root, hashes);
  const ids = keys.map((key) => hex(key.id)).join(", ");
  return [said("holds", { older, newer, origin: young.origin, keys: ids }), ...(await cosignersOf(old)), ...(await cosignersOf(young))];
};

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const lines = await verify();
    result.className = "info";
    result.replaceChildren(...lines);
  } catch (error) {
    sayFailure(result, error);
  } finally {
    button.disabled = false;
    showExplained();
  }
});
