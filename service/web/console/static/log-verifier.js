// Verifies proofs of the log with WebCrypto and nothing else: it asks nobody and loads nothing.
//
//   import { parseVerifierKey, verifyNoticeProof } from "./log-verifier.js";
//   const keys = [await parseVerifierKey("log.example+1234abcd+AX…")];
//   const found = await verifyNoticeProof({ proof, keys, parts: { document, signature, timestamp } });
//
// Bytes are Uint8Array, sizes and indices BigInt. Whatever does not hold throws a VerificationError that names its step.
// Formats: RFC 6962/9162, c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature and tlog-proof.
// Not checked: who holds the key (take it from elsewhere than the proof), whether others see the same head, and
// signature and timestamp of the notice itself (openssl cms -verify, openssl ts -verify).

const HASH_BYTES = 32;
const MAX_SIGNED = 2n ** 63n - 1n;
const MAX_BYTES = 1_000_000;
const MAX_SIGNATURES = 100;
const MAX_LEAF_BYTES = 65_535;
const ED25519 = 1;
const COSIGNATURE_V1 = 4;
const PROOF_HEADER = "c2sp.org/tlog-proof@v1";

const KEY_NAME = /^[^\s+\x00-\x1f\x7f]+$/u;
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f]/;
const SIGNATURE_LINE = /^— ([^\s+\x00-\x1f\x7f]+) ([A-Za-z0-9+/]+={0,2})$/u;
const CHECKPOINT = /^([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n$/u;
const DECIMAL = /^(?:0|[1-9][0-9]{0,18})$/;

export class VerificationError extends Error {
  constructor(step, reason) {
    super(`${step}: ${reason}`);
    this.name = "VerificationError";
    this.step = step;
    this.reason = reason;
  }
}

const refuse = (step, reason) => {
  throw new VerificationError(step, reason);
};

// -- bytes

const encoder = new TextEncoder();

const joined = (...parts) => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
};

const equal = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

const fromBase64 = (text, step) => {
  let binary;
  try {
    binary = atob(text);
  } catch {
    refuse(step, "is not base64");
  }
  if (btoa(binary) !== text) refuse(step, "is not canonical base64");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
};

const utf8 = (bytes, step) => {
  try {
    // ignoreBOM keeps a byte order mark as a character, so that text and bytes stay one to one.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(step, "is not UTF-8");
  }
};

// -- the tree (RFC 9162, section 2.1)

export const leafHash = (leaf) => sha256(Uint8Array.of(0), leaf);

export const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

const wantHashes = (step, hashes) => {
  if (!hashes.every((hash) => hash instanceof Uint8Array && hash.length === HASH_BYTES)) {
    refuse(step, `a hash has not ${HASH_BYTES} bytes`);
  }
};

/** Throws unless the leaf hash stands at an index under the root of a tree (RFC 9162, 2.1.3.2). */
export const verifyInclusion = async (hash, index, size, proof, root) => {
  const step = "inclusion";
  wantHashes(step, [hash, root, ...proof]);
  // 1. The index lies in the tree.
  if (index < 0n || index >= size) refuse(step, `index ${index} is not in a tree of ${size}`);
  // 2. and 3.
  let [first, last, result] = [BigInt(index), BigInt(size) - 1n, hash];
  // 4. Climb.
  for (const sibling of proof) {
    if (last === 0n) refuse(step, "the proof is longer than the path");
    if (first & 1n || first === last) {
      result = await nodeHash(sibling, result);
      while (first && !(first & 1n)) [first, last] = [first >> 1n, last >> 1n];
    } else {
      result = await nodeHash(result, sibling);
    }
    [first, last] = [first >> 1n, last >> 1n];
  }
  // 5. The root is reached, and it is the one given.
  if (last !== 0n) refuse(step, "the proof is shorter than the path");
  if (!equal(result, root)) refuse(step, "the proof leads to another root");
};

/** Throws unless the new tree extends the old one (RFC 9162, 2.1.4.2); every tree extends the empty one. */
export const verifyConsistency = async (oldSize, oldRoot, newSize, newRoot, proof) => {
  const step = "consistency";
  wantHashes(step, [oldRoot, newRoot, ...proof]);
  const [from, to] = [BigInt(oldSize), BigInt(newSize)];
  if (from < 0n || from > to) refuse(step, `size ${to} does not extend size ${from}`);
  if (from === 0n || from === to) {
    if (proof.length) refuse(step, "the proof must be empty");
    const empty = await sha256();
    if (!equal(oldRoot, from === 0n ? empty : newRoot)) refuse(step, "the roots differ");
    if (to === 0n && !equal(newRoot, empty)) refuse(step, "the empty tree has another root");
    return;
  }
  // 1. and 2. An old tree that is complete is its own first node.
  const path = (from & (from - 1n)) === 0n ? [oldRoot, ...proof] : [...proof];
  if (!path.length) refuse(step, "the proof is empty");
  // 3. and 4.
  let [first, last] = [from - 1n, to - 1n];
  while (first & 1n) [first, last] = [first >> 1n, last >> 1n];
  // 5.
  let [oldResult, newResult] = [path[0], path[0]];
  // 6.
  for (const node of path.slice(1)) {
    if (last === 0n) refuse(step, "the proof is longer than the path");
    if (first & 1n || first === last) {
      oldResult = await nodeHash(node, oldResult);
      newResult = await nodeHash(node, newResult);
      while (first && !(first & 1n)) [first, last] = [first >> 1n, last >> 1n];
    } else {
      newResult = await nodeHash(newResult, node);
    }
    [first, last] = [first >> 1n, last >> 1n];
  }
  // 7.
  if (last !== 0n) refuse(step, "the proof is shorter than the path");
  if (!equal(oldResult, oldRoot)) refuse(step, "the proof leads to another old root");
  if (!equal(newResult, newRoot)) refuse(step, "the proof leads to another new root");
};

// -- signed notes and checkpoints

/** Returns the key of a verifier key text, `name+keyID+key`; throws where any part of it is off. */
export const parseVerifierKey = async (text) => {
  const step = "verifier key";
  const [name, id, ...rest] = text.replace(/\n$/, "").split("+");
  const encoded = rest.join("+");
  if (!encoded || !KEY_NAME.test(name)) refuse(step, "must be name+keyID+key");
  const data = fromBase64(encoded, step);
  if (data.length !== 1 + 32 || ![ED25519, COSIGNATURE_V1].includes(data[0])) refuse(step, "is of no known type");
  const own = (await sha256(encoder.encode(`${name}\n`), data)).slice(0, 4);
  if (hex(own) !== id) refuse(step, "has a key ID that is not its own");
  return { name, kind: data[0], id: own, publicKey: data.slice(1) };
};

/** Returns text and signature lines of a note; verifies nothing. */
export const parseNote = (bytes) => {
  const step = "checkpoint signature";
  if (bytes.length > MAX_BYTES) refuse(step, "the note is too long");
  const whole = utf8(bytes, step);
  if (!whole.endsWith("\n")) refuse(step, "the note must end with a line feed");
  if (CONTROL.test(whole)) refuse(step, "the note holds a control character");
  const end = whole.lastIndexOf("\n\n");
  const block = end < 0 ? "" : whole.slice(end + 2);
  if (!block) refuse(step, "the note has no signatures");
  const lines = block.slice(0, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) refuse(step, "the note has too many signatures");
  const signatures = lines.map((line) => {
    const match = SIGNATURE_LINE.exec(line) ?? refuse(step, "the note has a malformed signature line");
    const signed = fromBase64(match[2], step);
    if (signed.length <= 4) refuse(step, "the note has a signature that is too short");
    return { name: match[1], keyId: signed.slice(0, 4), signature: signed.slice(4) };
  });
  return { text: whole.slice(0, end + 1), signatures };
};

const parseCheckpoint = async (text) => {
  const step = "checkpoint signature";
  const match = CHECKPOINT.exec(text) ?? refuse(step, "must be origin, size and root, one a line, and nothing else");
  const [size, root] = [BigInt(match[2]), fromBase64(match[3], step)];
  if (size > MAX_SIGNED) refuse(step, "has a size of more than 63 bits");
  if (size === 0n && !equal(root, await sha256())) refuse(step, "gives the empty tree another root");
  return { origin: match[1], size, root };
};

const linesOf = (note, key) => note.signatures.filter((line) => line.name === key.name && equal(line.keyId, key.id));

const verifySignature = async (step, key, signature, message) => {
  if (signature.length !== 64) refuse(step, `the signature of ${key.name} has not 64 bytes`);
  let holds = false;
  try {
    const imported = await crypto.subtle.importKey("raw", key.publicKey, { name: "Ed25519" }, false, ["verify"]);
    holds = await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
  } catch (error) {
    refuse(step, `Ed25519 cannot be checked here (${error.name})`);
  }
  if (!holds) refuse(step, `the signature of ${key.name} is wrong`);
};

/** Returns origin, size and root of a checkpoint that one of the log's keys signed. Lines of other keys count nothing. */
export const verifyCheckpoint = async (bytes, keys) => {
  const step = "checkpoint signature";
  const note = parseNote(bytes);
  const by = [];
  for (const key of keys) {
    const lines = linesOf(note, key);
    if (key.kind !== ED25519 || !lines.length) continue;
    if (lines.length > 1) refuse(step, `${key.name} signed twice`);
    await verifySignature(step, key, lines[0].signature, encoder.encode(note.text));
    by.push(key);
  }
  if (!by.length) refuse(step, "signed by no trusted key");
  const checkpoint = await parseCheckpoint(note.text);
  for (const key of by) {
    if (key.name !== checkpoint.origin) refuse(step, `the checkpoint is of ${checkpoint.origin}, the key of ${key.name}`);
  }
  return checkpoint;
};

/** Returns the POSIX time in seconds at which a witness saw the checkpoint. */
export const verifyCosignature = async (bytes, key) => {
  const step = "cosignature";
  const note = parseNote(bytes);
  await parseCheckpoint(note.text);
  const lines = linesOf(note, key);
  if (key.kind !== COSIGNATURE_V1 || lines.length !== 1) refuse(step, `${key.name} did not cosign exactly once`);
  const signed = lines[0].signature;
  if (signed.length !== 8 + 64) refuse(step, `the signature of ${key.name} has not 72 bytes`);
  const seconds = BigInt(`0x${hex(signed.slice(0, 8))}`);
  if (seconds > MAX_SIGNED) refuse(step, `the time of ${key.name} has more than 63 bits`);
  const message = encoder.encode(`cosignature/v1\ntime ${seconds}\n${note.text}`);
  await verifySignature(step, key, signed.slice(8), message);
  return seconds;
};

// -- proofs that travel

/** Returns what a proof says; verifies nothing. */
export const parseProof = (bytes) => {
  const step = "proof";
  if (bytes.length > MAX_BYTES) refuse(step, `is longer than ${MAX_BYTES} bytes`);
  const end = bytes.findIndex((byte, place) => byte === 10 && bytes[place + 1] === 10);
  const lines = end < 0 ? [] : utf8(bytes.slice(0, end), step).split("\n");
  const checkpoint = bytes.slice(end + 2);
  if (lines.shift() !== PROOF_HEADER || !checkpoint.length) refuse(step, `is no ${PROOF_HEADER}`);
  let extra = null;
  if (lines.length && lines[0].startsWith("extra ")) {
    extra = fromBase64(lines.shift().slice(6), step);
    if (!extra.length) refuse(step, "has an extra line without data");
  }
  const named = lines.shift() ?? "";
  if (!named.startsWith("index ") || !DECIMAL.test(named.slice(6))) refuse(step, "names no index");
  const index = BigInt(named.slice(6));
  if (index > MAX_SIGNED) refuse(step, "has an index of more than 63 bits");
  const hashes = lines.map((line) => fromBase64(line, step));
  if (hashes.length > 63 || hashes.some((hash) => hash.length !== HASH_BYTES)) {
    refuse(step, "has a hash that is no SHA-256, or too many");
  }
  return { index, hashes, checkpoint, extra };
};

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const hasMembers = (value, names) => isObject(value) && Object.keys(value).sort().join() === [...names].sort().join();

// RFC 8785 without floats; the order of UTF-16 code units is the order of sort().
const canonical = (value, step) => {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, step)).join(",")}]`;
  if (isObject(value)) {
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name], step)}`).join(",")}}`;
  }
  if (typeof value === "string" && /\p{Surrogate}/u.test(value)) refuse(step, "holds a lone surrogate");
  if (typeof value === "number" && !Number.isSafeInteger(value)) refuse(step, "holds a number that is no exact integer");
  return JSON.stringify(value);
};

const parseCanonical = (bytes, step) => {
  const text = utf8(bytes, step);
  let value;
  let again;
  try {
    value = JSON.parse(text);
    again = canonical(value, step);
  } catch (error) {
    refuse(step, error instanceof VerificationError ? error.reason : "is not JSON");
  }
  // A member that stands twice, another order, white space: each would read back as something else than was logged.
  if (again !== text) refuse(step, "is not canonical JSON");
  return value;
};

const LEAF_MEMBERS = ["v", "id", "type", "at", "actor", "subjects", "detail", "commitments"];

/** Returns what a leaf of the log says. */
export const parseLeaf = (bytes) => {
  const step = "leaf";
  if (bytes.length > MAX_LEAF_BYTES) refuse(step, "is too long");
  const leaf = parseCanonical(bytes, step);
  if (!hasMembers(leaf, LEAF_MEMBERS) || leaf.v !== 1) refuse(step, "is no leaf of this version");
  const texts = ["id", "type", "at", "actor"].every((name) => typeof leaf[name] === "string");
  const objects = ["subjects", "detail", "commitments"].every((name) => isObject(leaf[name]));
  if (!texts || !objects) refuse(step, "is no well-formed leaf");
  for (const [name, digest] of Object.entries(leaf.commitments)) {
    const named = /^[a-z][a-z0-9_]{0,40}$/.test(name);
    if (!named || typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest)) {
      refuse(step, "has commitments that are no SHA-256 by name");
    }
  }
  return leaf;
};

const parseExtra = (bytes) => {
  const step = "leaf";
  const extra = parseCanonical(bytes, step);
  if (!hasMembers(extra, ["v", "leaf", "openings"]) || extra.v !== 1) refuse(step, "the proof carries no leaf of a notice");
  if (typeof extra.leaf !== "string" || !isObject(extra.openings)) refuse(step, "the proof carries no leaf of a notice");
  const salts = new Map();
  for (const [name, salt] of Object.entries(extra.openings)) {
    const data = typeof salt === "string" ? fromBase64(salt, step) : new Uint8Array();
    if (data.length !== 32) refuse(step, "the proof has a salt that has not 32 bytes");
    salts.set(name, data);
  }
  return { leaf: fromBase64(extra.leaf, step), salts };
};

/** Throws unless the leaf commits to a part, which is given as its bytes. */
export const verifyCommitment = async (leaf, name, salt, part) => {
  const step = "commitment";
  const stated = Object.hasOwn(leaf.commitments, name) ? leaf.commitments[name] : refuse(step, `the leaf commits to no ${name}`);
  if (!(salt instanceof Uint8Array) || salt.length !== 32) refuse(step, `nothing opens the ${name}`);
  const found = await sha256(encoder.encode(`greffier/commitment/v1\n${name}\n`), salt, await sha256(part));
  if (hex(found) !== stated) refuse(step, `the leaf commits to another ${name}`);
};

/** Returns the bytes of the checkpoint in a proof: what a timestamp that several notices share is over. Verifies nothing. */
export const checkpointOf = (proof) => parseProof(proof).checkpoint;

/**
 * Verifies that the log holds a notice; returns the leaf, its index and the checkpoint.
 *
 * `parts` are the notice's files, by the name of the commitment: document, signature, timestamp. With none of them the
 * leaf alone is verified, and nothing is said of any document; which ones were compared is returned as `compared`.
 *
 * 1. Proof: in the one form, with the leaf in it.
 * 2. Commitments: the leaf commits to each part given.
 * 3. Inclusion: the leaf stands under the checkpoint.
 * 4. Checkpoint signature: by one of the keys.
 */
export const verifyNoticeProof = async ({ proof, keys, parts = {} }) => {
  // 1.
  const parsed = parseProof(proof);
  if (parsed.extra === null) refuse("leaf", "the proof carries no leaf");
  const { leaf: leafBytes, salts } = parseExtra(parsed.extra);
  const leaf = parseLeaf(leafBytes);
  if (leaf.type !== "notice.sealed") refuse("leaf", `the leaf is a ${leaf.type}`);
  if ([...salts.keys()].sort().join() !== Object.keys(leaf.commitments).sort().join()) {
    refuse("commitment", "the proof does not open every commitment of the leaf");
  }
  // 2. A timestamp that came later than the entry is in an entry of its own.
  const compared = [];
  for (const [name, part] of Object.entries(parts)) {
    if (part === undefined || part === null) continue;
    if (name === "timestamp" && !Object.hasOwn(leaf.commitments, name)) continue;
    await verifyCommitment(leaf, name, salts.get(name), part);
    compared.push(name);
  }
  // 3. and 4. The root is believed once it is signed.
  const checkpoint = await parseCheckpoint(parseNote(parsed.checkpoint).text);
  await verifyInclusion(await leafHash(leafBytes), parsed.index, checkpoint.size, parsed.hashes, checkpoint.root);
  await verifyCheckpoint(parsed.checkpoint, keys);
  return { leaf, index: parsed.index, checkpoint, compared };
};
