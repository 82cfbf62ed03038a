// Passkeys: the browser's answer is put into an ordinary form, which is then sent like any other.

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

const text = (buffer) =>
  buffer === null
    ? null
    : btoa(String.fromCharCode(...new Uint8Array(buffer)))
        .replaceAll("+", "-")
        .replaceAll("/", "_")
        .replaceAll("=", "");

const described = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

const forCreation = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  user: { ...options.user, id: bytes(options.user.id) },
  excludeCredentials: described(options.excludeCredentials),
});

const forRequest = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  allowCredentials: described(options.allowCredentials),
});

const asJson = (credential) => {
  const given = credential.response;
  const response = { clientDataJSON: text(given.clientDataJSON) };
  if ("attestationObject" in given) {
    response.attestationObject = text(given.attestationObject);
    response.transports = given.getTransports?.() ?? [];
  } else {
    response.authenticatorData = text(given.authenticatorData);
    response.signature = text(given.signature);
    response.userHandle = text(given.userHandle);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  });
};

const optionsFor = async (form) => {
  const headers = { Accept: "application/json" };
  const proof = form.elements.namedItem("csrf_token");
  if (proof !== null) headers["X-CSRF-Token"] = proof.value;
  const second = form.elements.namedItem("second");
  const address = form.dataset.options + (second === null ? "" : "?second=1");
  const answer = await fetch(address, { method: "POST", headers, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
  return answer.json();
};

const ask = async (form) => {
  const options = await optionsFor(form);
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: forCreation(options) })
      : await navigator.credentials.get({ publicKey: forRequest(options) });
  form.elements.namedItem("credential").value = asJson(credential);
};

const onSubmit = async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const message = form.querySelector("[data-message]");
  const button = form.querySelector("button");
  message.textContent = "";
  button.disabled = true;
  try {
    await ask(form);
    form.submit();
  } catch {
    // Cancelled, timed out, no passkey for this site, or the service refused: the person tries again or another way.
    message.textContent = form.dataset.failed;
  } finally {
    button.disabled = false;
  }
};

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", onSubmit);
    form.hidden = false;
  }
}
