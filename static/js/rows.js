// A long table of files: the next page comes as its end comes near, the one before as its beginning does once somebody scrolls, and pages
// far away give their rows back until they are near again.
// What is ticked there is kept in hidden fields of the form. The address names the page at the top of the window, so a reload stays there.
"use strict";

(() => {
  const table = document.querySelector("table[data-pages]");
  if (!table || !("IntersectionObserver" in window)) return;
  const kept = document.querySelector("[data-kept]");
  const told = document.querySelector("[data-told]");
  const busy = new Set();  // rows that fetch the page after or before theirs, and pages that are filled again
  let hasScrolled = false;
  document.documentElement.style.overflowAnchor = "none";  // what comes above is made up for here, once

  const isBusy = (page) => [...busy].some((one) => page.contains(one));

  async function fetchPage(address) {
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const holder = document.createElement("table");
    holder.innerHTML = await answer.text();
    return holder.tBodies[0];
  }

  function tickAgain(page) {
    for (const box of page.querySelectorAll("input[type=checkbox]")) {
      const field = [...kept.children].find((one) => one.name === box.name && one.value === box.value);
      if (field) { box.checked = true; field.remove(); }
    }
  }

  async function appendNext(page) {
    const more = page.querySelector("tr.more");
    if (!more || busy.has(more)) return;
    busy.add(more);
    const link = more.querySelector("a");
    try {
      const next = await fetchPage(link.href);
      const hadFocus = document.activeElement === link;
      more.remove();
      next.querySelector("tr.before")?.remove();  // its rows stand above, and would come twice
      tickAgain(next);
      page.after(next);
      watch(next);
      told.textContent = `${next.rows.length - next.querySelectorAll("tr.more").length} more rows`;
      if (hadFocus) next.querySelector("input, a")?.focus({ preventScroll: true });
    } catch {
      link.textContent = "The next files did not come. Try again";
    }
    busy.delete(more);
  }

  async function prependBefore(page) {
    const before = page.querySelector("tr.before");
    if (!before || busy.has(before)) return;
    busy.add(before);
    const link = before.querySelector("a");
    try {
      const previous = await fetchPage(link.href);
      const hadFocus = document.activeElement === link;
      const first = before.nextElementSibling;
      const top = first.getBoundingClientRect().top;
      previous.querySelector("tr.more")?.remove();
      before.remove();
      tickAgain(previous);
      page.before(previous);
      scrollBy(0, first.getBoundingClientRect().top - top);  // what she looks at stays where it is
      watch(previous);
      told.textContent = `${previous.rows.length - previous.querySelectorAll("tr.before").length} rows before`;
      if (hadFocus) previous.querySelector("tr:last-child input, tr:last-child a")?.focus({ preventScroll: true });
    } catch {
      link.textContent = "The files before did not come. Try again";
    }
    busy.delete(before);
  }

  async function fill(page) {
    if (!page.dataset.emptied || isBusy(page)) return;
    busy.add(page);
    try {
      const again = await fetchPage(page.dataset.page);
      if (page.nextElementSibling) again.querySelector("tr.more")?.remove();
      if (page.previousElementSibling?.matches("tbody")) again.querySelector("tr.before")?.remove();
      tickAgain(again);
      page.replaceChildren(...again.rows);
      delete page.dataset.emptied;
      near.unobserve(page);
      near.observe(page);  // what follows or comes before is looked for again
    } catch {
      page.rows[0].cells[0].textContent = "These files did not come. Scroll away and back to try again.";
    }
    busy.delete(page);
  }

  function empty(page) {
    if (page.dataset.emptied || isBusy(page) || page.contains(document.activeElement) || !page.nextElementSibling) return;
    for (const box of page.querySelectorAll("input[type=checkbox]:checked")) {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: box.name, value: box.value });
      kept.append(field);
    }
    const row = document.createElement("tr");
    row.style.height = `${page.offsetHeight}px`;
    row.insertCell().colSpan = 7;
    page.replaceChildren(row);
    page.dataset.emptied = "1";
  }

  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) empty(target);
      else if (target.dataset.emptied) fill(target);
      else {
        appendNext(target);
        if (hasScrolled) prependBefore(target);
      }
    }
  }, { rootMargin: "2000px 0px" });
  const atTop = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) if (isIntersecting) history.replaceState(history.state, "", target.dataset.page);
  }, { rootMargin: "0px 0px -99% 0px" });

  function watch(page) {
    near.observe(page);
    atTop.observe(page);
  }

  table.addEventListener("click", (event) => {
    const link = event.target.closest("tr.more a, tr.before a");
    if (!link) return;
    event.preventDefault();
    (link.rel === "next" ? appendNext : prependBefore)(link.closest("tbody"));
  });
  // A page that was opened in the middle begins below its heading; what lies before comes when somebody moves near it.
  addEventListener("scroll", () => {
    hasScrolled = true;
    const [first] = table.tBodies;
    if (!first.dataset.emptied && first.getBoundingClientRect().bottom > -2000) prependBefore(first);
  }, { passive: true });
  // The box in the head speaks of all rows that were shown, also of those that are far away now.
  table.addEventListener("ticked", () => {
    if (!table.querySelector("input[data-tick-all]").checked) kept.replaceChildren();
  });
  if (new URLSearchParams(location.search).has("after")) history.scrollRestoration = "manual";
  for (const page of table.tBodies) watch(page);
})();
