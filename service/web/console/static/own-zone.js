// Offers the browser's own time zone; the person saves it or not.

const form = document.querySelector("[data-own-zone]");
const offer = form?.querySelector("[data-take-zone]");
const chosen = form?.elements.namedItem("time_zone");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (offer && chosen.value !== own && [...chosen.options].some((option) => option.value === own)) {
  offer.querySelector("[data-zone]").textContent = own;
  offer.hidden = false;
  offer.addEventListener("click", () => {
    chosen.value = own;
    offer.hidden = true;
    chosen.focus();
  });
}
