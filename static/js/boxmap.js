// A box drawn on the outline map with the pointer or the keyboard. It fills the number fields of its form, which do the work without scripts.
"use strict";

for (const map of document.querySelectorAll("[data-boxmap]")) {
  const svg = map.querySelector("svg"), drawn = map.querySelector("[data-drawn]"), words = map.querySelector("[data-words]");
  const clear = map.querySelector("[data-clear]"), form = map.closest("form"), sides = ["west", "south", "east", "north"];
  const fields = Object.fromEntries(sides.map((side) => [side, form.querySelector(`[data-side="${side}"]`)]));
  let box = read(), start = null;

  function read() {
    const values = sides.map((side) => (fields[side].value.trim() === "" ? NaN : Number(fields[side].value)));
    return values.every(Number.isFinite) ? Object.fromEntries(sides.map((side, at) => [side, values[at]])) : null;
  }

  function show() {
    drawn.replaceChildren();
    clear.hidden = !box;
    words.textContent = box ? sides.map((side) => `${side} ${box[side]}°`).join(", ") : "No box yet: drag on the map.";
    if (!box) return;
    // Across the date line there are two parts.
    const spans = box.west <= box.east ? [[box.west, box.east]] : [[box.west, 180], [-180, box.east]];
    for (const [west, east] of spans) {
      const part = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of Object.entries({ x: west, y: -box.north, width: Math.max(east - west, 0.8), height: Math.max(box.north - box.south, 0.8) })) {
        part.setAttribute(name, value);
      }
      drawn.append(part);
    }
  }

  function take() {
    for (const side of sides) fields[side].value = box ? box[side] : "";
    fields.north.dispatchEvent(new Event("change", { bubbles: true }));
    if ("sends" in map.dataset) form.requestSubmit();
  }

  // A tenth of a degree is less than a pixel.
  const round = (degrees) => Math.round(degrees * 10) / 10;
  const within = (value, most) => Math.min(Math.max(round(value), -most), most);

  function place(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return { longitude: within(at.x, 180), latitude: within(-at.y, 90) };
  }

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = place(event);
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
    svg.focus({ preventScroll: true });
  });

  svg.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = place(event);
    box = {
      west: Math.min(start.longitude, end.longitude), east: Math.max(start.longitude, end.longitude),
      south: Math.min(start.latitude, end.latitude), north: Math.max(start.latitude, end.latitude),
    };
    show();
  });

  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, () => {
      const had = start && read();
      start = null;
      if (box && (box.west === box.east || box.south === box.north)) box = had || null; // a click is no box
      show();
      if (JSON.stringify(box) !== JSON.stringify(read())) take();
    });
  }

  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key === "Enter" && box) { event.preventDefault(); take(); return; }
    if ((event.key === "Delete" || event.key === "Backspace") && box) { event.preventDefault(); box = null; show(); take(); return; }
    if (!(event.key in moves) || event.altKey || event.metaKey) return;
    event.preventDefault();
    const step = event.ctrlKey ? 1 : 5, [x, y] = moves[event.key].map((one) => one * step);
    if (!box) box = { west: -30, south: -20, east: 30, north: 20 };
    else if (event.shiftKey) box = { ...box, east: within(Math.max(box.east + x, box.west + 1), 180), north: within(Math.max(box.north + y, box.south + 1), 90) };
    else if (box.west + x >= -180 && box.east + x <= 180 && box.south + y >= -90 && box.north + y <= 90) {
      box = { west: round(box.west + x), east: round(box.east + x), south: round(box.south + y), north: round(box.north + y) };
    }
    show();
  });

  clear.addEventListener("click", () => { box = null; show(); take(); svg.focus({ preventScroll: true }); });
  for (const side of sides) fields[side].addEventListener("change", () => { box = read(); show(); });
  map.hidden = false;
  show();
}
