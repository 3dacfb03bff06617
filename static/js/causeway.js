// Small comforts; every page works without them. Copy buttons appear, a form is sent once, an open menu closes on Escape or a click elsewhere.
"use strict";

function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.textContent);
    const words = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = words; }, 1500);
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A double click sends a form once. The mark goes when the browser shows the page again (back button).
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Sheets (filters, folders) stand open without scripts; on a narrow screen they start closed so that the results come first.
if (matchMedia("(max-width: 59.99rem)").matches) {
  for (const sheet of document.querySelectorAll("details.sheet[open]")) sheet.open = false;
}

// While somebody types a search, words of the catalogue that go on from her last one are offered in the browser's own list.
for (const field of document.querySelectorAll("input[data-suggest]")) {
  let waiting;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    const typed = field.value;
    const last = typed.match(/[\p{L}\p{N}]{2,}$/u);
    if (!last || [...field.list.options].some((one) => one.value === typed)) return;
    waiting = setTimeout(async () => {
      const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(typed)}`).catch(() => null);
      if (!answer?.ok || field.value !== typed) return;
      const { results } = await answer.json();
      field.list.replaceChildren(...results.map((word) => Object.assign(document.createElement("option"), { value: typed.slice(0, last.index) + word })));
    }, 150);
  });
}

// The box in a table's head ticks all rows of that table; without scripts it is not shown.
for (const all of document.querySelectorAll("input[data-tick-all][hidden]")) all.hidden = false;
document.addEventListener("change", (event) => {
  const all = event.target.closest("input[data-tick-all]");
  if (!all) return;
  for (const box of all.closest("table").querySelectorAll("tbody input[type=checkbox]:not(:disabled)")) box.checked = all.checked;
  all.closest("table").dispatchEvent(new Event("ticked", { bubbles: true }));
});

// Facets and sort orders are sent as soon as they change, but not the sides of a box one by one; without scripts the form's own button does it.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-send-on-change]");
  if (form && !event.target.matches("[data-wait]")) form.requestSubmit();
});

document.addEventListener("htmx:afterSwap", (event) => showCopyButtons(event.target));
showCopyButtons(document);
