// Checks in the reader's browser that the log has the entries of this page: bytes, inclusion proof, signed checkpoint.
// The verifier asks nobody; this module only loads what it needs. Each load by an auditor is in the log.

import { equal, fromBase64, hex, keysOf, load, readJson, refuse, sayFailure, said, showExplained } from "./proof-page.js";
import { leafHash, parseLeaf, parseProof, verifyCheckpoint, verifyInclusion } from "./log-verifier.js";

/** Return the bytes of an entry as the service gives them now. */
const loadEntry = async (path, index) => {
  const entry = readJson(await load(path), "entry");
  if (typeof entry?.leaf_base64 !== "string" || BigInt(entry.index ?? -1) !== index) refuse("entry", "is another entry");
  try {
    return fromBase64(entry.leaf_base64);
  } catch {
    return refuse("entry", "is not base64");
  }
};

/**
 * Return the checkpoint under which the entry of a place was proven; throws a VerificationError that names its step.
 *
 * 1. Entry: the loaded bytes are those that this page shows, where the service gives single entries to the reader.
 * 2. Leaf: they are canonical.
 * 3. Proof: it is in the one form, and of this index.
 * 4. Checkpoint signature: by one of the log's keys.
 * 5. Inclusion: the leaf is at its index under the root of the checkpoint.
 */
const verify = async (place) => {
  const index = BigInt(place.dataset.entryProof);
  const leaf = fromBase64(place.dataset.leaf);
  const entry = place.dataset.entry ? await loadEntry(place.dataset.entry, index) : leaf;
  const [proofBytes, keys] = [await load(place.dataset.proof), await keysOf(place.dataset.keys)];
  // 1.
  if (!equal(leaf, entry)) refuse("entry", "the loaded bytes are not those of this page");
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
    sayFailure(result, error);
    return false;
  } finally {
    button.disabled = false;
    showExplained();
  }
};

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
