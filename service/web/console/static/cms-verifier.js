// Verifies detached CMS signatures and RFC 3161 timestamps with WebCrypto and nothing else: it asks nobody and loads nothing.
//
//   import { verifyDetached, verifyTimestamp } from "./cms-verifier.js";
//   const signer = await verifyDetached(document, signature);
//   const dated = await verifyTimestamp(signature, reply);
//
// Bytes are Uint8Array. Whatever does not hold throws a SignatureError that names its step; one that this browser cannot
// check has `unsupported`. Formats: RFC 5652, 3161, 5035 and 5816, in DER.
// Not checked: whether a certificate is trusted, valid or revoked. Compare its fingerprint with one that came another way.

export class SignatureError extends Error {
  constructor(step, reason, { unsupported = false } = {}) {
    super(`${step}: ${reason}`);
    this.name = "SignatureError";
    this.step = step;
    this.reason = reason;
    this.unsupported = unsupported;
  }
}

const refuse = (step, reason, options) => {
  throw new SignatureError(step, reason, options);
};

const MAX_BYTES = 1_000_000;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const equal = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);
const digest = async (name, bytes) => new Uint8Array(await crypto.subtle.digest(name, bytes));

// -- DER

const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const OID = 0x06;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT = 0xa0;

/** Returns the elements of bytes: tag, content and the bytes as a whole; throws where they are not DER. */
const elements = (bytes, step) => {
  const found = [];
  let place = 0;
  while (place < bytes.length) {
    const start = place;
    const tag = bytes[place];
    let length = bytes[place + 1];
    place += 2;
    if ((tag & 0x1f) === 0x1f || length === undefined) refuse(step, "is not DER");
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count < 1 || count > 4 || place + count > bytes.length) refuse(step, "is not DER");
      length = 0;
      for (const byte of bytes.subarray(place, place + count)) length = length * 256 + byte;
      place += count;
      if (length < 0x80 || length < 256 ** (count - 1)) refuse(step, "is not DER");
    }
    if (place + length > bytes.length) refuse(step, "ends too early");
    found.push({ tag, content: bytes.subarray(place, place + length), whole: bytes.subarray(start, place + length) });
    place += length;
  }
  return found;
};

/** Reads the elements within one in order, and says what is missing. */
class Reader {
  constructor(bytes, step) {
    this.step = step;
    this.left = elements(bytes, step);
  }

  take(tag) {
    const next = this.left.shift();
    return next?.tag === tag ? next : refuse(this.step, "has not the form that it must have");
  }

  maybe(tag) {
    return this.left[0]?.tag === tag ? this.left.shift() : null;
  }

  within(tag) {
    return new Reader(this.take(tag).content, this.step);
  }

  end() {
    if (this.left.length) refuse(this.step, "has more in it than it may have");
  }
}

const whole = (bytes, step) => {
  if (bytes.length > MAX_BYTES) refuse(step, `is longer than ${MAX_BYTES} bytes`);
  const reader = new Reader(bytes, step);
  const content = reader.within(SEQUENCE);
  reader.end();
  return content;
};

const oidOf = (bytes) => {
  const numbers = [];
  let number = 0;
  for (const byte of bytes) {
    number = number * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (numbers.length) numbers.push(number);
    else numbers.push(Math.min(Math.floor(number / 40), 2), number - 40 * Math.min(Math.floor(number / 40), 2));
    number = 0;
  }
  return numbers.join(".");
};

/** Returns the object identifier of an algorithm, and what parameters it has. */
const algorithmOf = (reader) => {
  const inner = reader.within(SEQUENCE);
  return { oid: oidOf(inner.take(OID).content), parameters: inner.left[0] ?? null };
};

// -- certificates

const NAMES = { "2.5.4.3": "CN", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C" };

const nameOf = (bytes, step) => {
  const found = {};
  for (const part of elements(bytes, step)) {
    for (const pair of elements(part.content, step)) {
      const [kind, value] = elements(pair.content, step);
      const name = NAMES[oidOf(kind.content)];
      // BMPString is UTF-16; the others are read as UTF-8, of which they are a part, or near enough to be shown.
      const encoding = value.tag === 0x1e ? "utf-16be" : "utf-8";
      if (name) found[name] ??= new TextDecoder(encoding).decode(value.content);
    }
  }
  return found;
};

const EXTENDED_KEY_USAGE = "2.5.29.37";
const TIMESTAMPING = "1.3.6.1.5.5.7.3.8";
const EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4";

const parseCertificate = (bytes, step) => {
  const certificate = whole(bytes, step);
  const body = certificate.within(SEQUENCE);
  body.maybe(CONTEXT);
  const serial = body.take(INTEGER).content;
  body.take(SEQUENCE);
  const issuer = body.take(SEQUENCE);
  body.take(SEQUENCE);
  const subject = body.take(SEQUENCE);
  const key = body.take(SEQUENCE);
  const extensions = body.left.find((each) => each.tag === CONTEXT + 3);
  const usages = [];
  for (const each of extensions ? elements(elements(extensions.content, step)[0].content, step) : []) {
    const parts = elements(each.content, step);
    if (oidOf(parts[0].content) !== EXTENDED_KEY_USAGE) continue;
    for (const usage of elements(elements(parts.at(-1).content, step)[0].content, step)) usages.push(oidOf(usage.content));
  }
  return { bytes, serial, issuer: issuer.whole, subject: nameOf(subject.content, step), key: key.whole, usages };
};

// -- signatures

const HASHES = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};
const ECDSA = { "1.2.840.10045.4.3.2": "SHA-256", "1.2.840.10045.4.3.3": "SHA-384", "1.2.840.10045.4.3.4": "SHA-512" };
const RSA = { "1.2.840.113549.1.1.11": "SHA-256", "1.2.840.113549.1.1.12": "SHA-384", "1.2.840.113549.1.1.13": "SHA-512" };
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
const CURVES = {
  "1.2.840.10045.3.1.7": { namedCurve: "P-256", bytes: 32 },
  "1.3.132.0.34": { namedCurve: "P-384", bytes: 48 },
  "1.3.132.0.35": { namedCurve: "P-521", bytes: 66 },
};

const hashNamed = (oid, step) => HASHES[oid] ?? refuse(step, `uses the digest ${oid}, which is not known here`);

/** Returns an ECDSA signature as WebCrypto takes it: both numbers at their full length, one after the other. */
const rawEcdsa = (signature, bytes, step) => {
  const numbers = whole(signature, step).left;
  if (numbers.length !== 2) refuse(step, "the signature is malformed");
  const raw = new Uint8Array(2 * bytes);
  numbers.forEach(({ tag, content }, at) => {
    const number = content[0] === 0 ? content.slice(1) : content;
    if (tag !== INTEGER || number.length > bytes) refuse(step, "the signature is malformed");
    raw.set(number, (at + 1) * bytes - number.length);
  });
  return raw;
};

const verifyBy = async (certificate, algorithm, hash, signature, signed, step) => {
  const key = new Reader(certificate.key, step).within(SEQUENCE);
  const kind = algorithmOf(key);
  let given;
  let used;
  let value = signature;
  if (ECDSA[algorithm]) {
    const curve = CURVES[kind.parameters && oidOf(kind.parameters.content)];
    if (kind.oid !== "1.2.840.10045.2.1" || !curve) refuse(step, "uses a key that is not known here", { unsupported: true });
    given = { name: "ECDSA", namedCurve: curve.namedCurve };
    used = { name: "ECDSA", hash: ECDSA[algorithm] };
    value = rawEcdsa(signature, curve.bytes, step);
  } else if (algorithm === RSA_ENCRYPTION || RSA[algorithm]) {
    if (kind.oid !== RSA_ENCRYPTION) refuse(step, "uses an algorithm that its key has not");
    given = { name: "RSASSA-PKCS1-v1_5", hash: RSA[algorithm] ?? hash };
    used = { name: "RSASSA-PKCS1-v1_5" };
  } else {
    refuse(step, `uses the algorithm ${algorithm}, which is not known here`, { unsupported: true });
  }
  let holds = false;
  try {
    holds = await crypto.subtle.verify(used, await crypto.subtle.importKey("spki", certificate.key, given, false, ["verify"]), value, signed);
  } catch (error) {
    if (error.name === "NotSupportedError") refuse(step, `cannot be checked here (${given.name})`, { unsupported: true });
    refuse(step, "its certificate has no usable key");
  }
  if (!holds) refuse(step, "the signature is wrong");
};

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const DATA = "1.2.840.113549.1.7.1";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";

const attributesOf = (bytes, step) => {
  const found = new Map();
  for (const each of elements(bytes, step)) {
    const pair = new Reader(each.content, step);
    const name = oidOf(pair.take(OID).content);
    const values = elements(pair.take(SET).content, step);
    pair.end();
    if (found.has(name) || values.length !== 1) refuse(step, "states an attribute twice");
    found.set(name, values[0]);
  }
  return found;
};

const parseSignedData = (outer, step) => {
  if (oidOf(outer.take(OID).content) !== SIGNED_DATA) refuse(step, "is no CMS signature");
  const signedData = outer.within(CONTEXT).within(SEQUENCE);
  outer.end();
  signedData.take(INTEGER);
  signedData.take(SET);
  const encapsulated = signedData.within(SEQUENCE);
  const contentType = oidOf(encapsulated.take(OID).content);
  const inside = encapsulated.maybe(CONTEXT);
  encapsulated.end();
  const content = inside && new Reader(inside.content, step).take(OCTET_STRING).content;
  const certificates = elements(signedData.maybe(CONTEXT)?.content ?? new Uint8Array(), step);
  signedData.maybe(CONTEXT + 1);
  const signers = elements(signedData.take(SET).content, step);
  signedData.end();
  if (signers.length !== 1) refuse(step, "must have exactly one signer");
  const signer = new Reader(signers[0].content, step);
  signer.take(INTEGER);
  const issuer = signer.within(SEQUENCE);
  const [name, serial] = [issuer.take(SEQUENCE).whole, issuer.take(INTEGER).content];
  const hash = hashNamed(algorithmOf(signer).oid, step);
  const attributes = signer.take(CONTEXT);
  const algorithm = algorithmOf(signer).oid;
  const signature = signer.take(OCTET_STRING).content;
  return { contentType, content, certificates, name, serial, hash, attributes, algorithm, signature };
};

/** Returns the certificate whose key signed, and the signed attributes; `content` is what must have been signed. */
const verifySignedData = async (parsed, content, contentType, step) => {
  const { hash, attributes, algorithm, signature } = parsed;
  // 1. The signed attributes are about this content.
  const signed = attributesOf(attributes.content, step);
  const stated = signed.get(CONTENT_TYPE);
  if (parsed.contentType !== contentType || !stated || oidOf(stated.content) !== contentType) {
    refuse(step, "is over another kind of content");
  }
  const messageDigest = signed.get(MESSAGE_DIGEST);
  if (messageDigest?.tag !== OCTET_STRING || !equal(await digest(hash, content), messageDigest.content)) {
    refuse(step, "the content is not what was signed");
  }
  // 2. Exactly one certificate is the signer's.
  const found = parsed.certificates
    .map((each) => parseCertificate(each.whole, step))
    .filter((each) => equal(each.issuer, parsed.name) && equal(each.serial, parsed.serial));
  if (found.length !== 1) refuse(step, "the signer's certificate is not in the signature");
  // 3. Its key signed the attributes, which are signed as a SET (RFC 5652, 5.4).
  const asSet = Uint8Array.from(attributes.whole);
  asSet[0] = SET;
  await verifyBy(found[0], algorithm, hash, signature, asSet, step);
  return { certificate: found[0], signed };
};

const shown = async ({ bytes, subject }) => ({
  name: subject.CN ?? subject.O ?? subject.OU ?? "",
  organisation: subject.O ?? "",
  fingerprint: hex(await digest("SHA-256", bytes)),
});

/** Returns name, organisation and fingerprint of the certificate whose key signed the content (detached CMS, DER). */
export const verifyDetached = async (content, signature) => {
  const step = "document signature";
  const parsed = parseSignedData(whole(signature, step), step);
  if (parsed.content !== null) refuse(step, "has content of its own");
  const { certificate } = await verifySignedData(parsed, content, DATA, step);
  if (!certificate.usages.includes(EMAIL_PROTECTION)) refuse(step, "its certificate is for another purpose");
  return shown(certificate);
};

const momentOf = (bytes, step) => {
  const text = new TextDecoder().decode(bytes);
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(text) ?? refuse(step, "states no time");
  const [, year, month, day, hour, minute, second, fraction] = match;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction ?? ""}Z`;
};

const verifyNamed = async (signed, certificate, step) => {
  const [second, first] = [signed.get(SIGNING_CERTIFICATE_V2), signed.get(SIGNING_CERTIFICATE)];
  const attribute = second ?? first ?? refuse(step, "does not name its signer's certificate");
  const id = new Reader(attribute.content, step).within(SEQUENCE).within(SEQUENCE);
  const stated = second ? id.maybe(SEQUENCE) : null;
  const hash = first && !second ? "SHA-1" : stated ? hashNamed(oidOf(elements(stated.content, step)[0].content), step) : "SHA-256";
  if (!equal(await digest(hash, certificate.bytes), id.take(OCTET_STRING).content)) {
    refuse(step, "names another certificate than its signer's");
  }
};

/** Returns the time that an RFC 3161 reply states for the content, and the authority's certificate as `verifyDetached`. */
export const verifyTimestamp = async (content, reply, what = "signature") => {
  const step = "timestamp";
  const outer = whole(reply, step);
  // 1. The authority granted a token (0) or granted it with changes (1).
  const status = outer.within(SEQUENCE).take(INTEGER).content;
  if (status.length !== 1 || status[0] > 1) refuse(step, "the authority granted no token");
  const parsed = parseSignedData(outer.within(SEQUENCE), step);
  outer.end();
  // 2. The token is over the content.
  const stated = whole(parsed.content ?? refuse(step, "holds no token"), step);
  stated.take(INTEGER);
  stated.take(OID);
  const imprint = stated.within(SEQUENCE);
  const hash = hashNamed(algorithmOf(imprint).oid, step);
  if (!equal(await digest(hash, content), imprint.take(OCTET_STRING).content)) {
    refuse(step, `is over another ${what}`);
  }
  stated.take(INTEGER);
  const at = momentOf(stated.take(GENERALIZED_TIME).content, step);
  // 3. Its signature holds, by a certificate for timestamps that it names.
  const { certificate, signed } = await verifySignedData(parsed, parsed.content, TST_INFO, step);
  if (!certificate.usages.includes(TIMESTAMPING)) refuse(step, "its certificate is for another purpose");
  await verifyNamed(signed, certificate, step);
  return { at, ...(await shown(certificate)) };
};
