// The page that verifies a proof: reads the files that were chosen, and says what the verifier found. Nothing is sent.

const form = document.querySelector("form[data-verify]");
const result = document.getElementById("result");
const templates = new Map();
for (const place of result.querySelectorAll("[data-said]")) templates.set(place.dataset.said, place.textContent);

const say = (name, values = {}) => {
  const place = result.querySelector(`[data-said="${name}"]`);
  place.textContent = (templates.get(name) || "{text}").replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
  place.hidden = false;
};

const chosen = async (name) => {
  const [file] = form.elements.namedItem(name).files;
  return file === undefined ? undefined : { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
};

const verify = async () => {
  const { parseVerifierKey, verifyNoticeProof } = await import(form.dataset.verify);
  const lines = form.elements.namedItem("key").value.split("\n").map((line) => line.trim());
  const keys = await Promise.all(lines.filter((line) => line !== "").map(parseVerifierKey));
  const files = { document: await chosen("document"), signature: await chosen("signature"), timestamp: await chosen("timestamp") };
  const parts = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file?.bytes]));
  const { bytes: proof } = await chosen("proof");
  const { leaf, index, checkpoint, compared } = await verifyNoticeProof({ proof, keys, parts });
  say("holds");
  say("entry", { index, size: checkpoint.size, origin: checkpoint.origin, at: leaf.at });
  if (compared.length) say("compared", { names: compared.map((name) => files[name].name).join(", ") });
  else say("not_compared");
  say("not_here");
};

const onSubmit = async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  for (const place of result.querySelectorAll("[data-said]")) place.hidden = true;
  try {
    await verify();
    result.className = "info";
  } catch (error) {
    say("fails");
    say("reason", { text: error.message });
    result.className = "alert";
  } finally {
    button.disabled = false;
    result.hidden = false;
    result.focus();
  }
};

form.addEventListener("submit", onSubmit);
form.hidden = false;
document.getElementById("without_script").hidden = true;
