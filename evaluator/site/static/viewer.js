"use strict";
// The viewer of a case: two of its pictures in one of five views, with one zoom and one place for all of them.
// The state stands in the fragment of the address, so that a link leads to what is seen.
{
  const byId = (id) => document.getElementById(id);
  const viewer = document.querySelector(".viewer");
  const stage = byId("stage");
  const WIDTH = Number(viewer.dataset.width);
  const HEIGHT = Number(viewer.dataset.height);
  const MOST = 64;
  const VIEWS = ["slider", "flicker", "side", "all", "difference"];
  const figures = new Map([...document.querySelectorAll(".pictures figure")].map((f) => [f.dataset.key, f]));
  const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
  // zoom: CSS pixels for each pixel of the picture, null to fit; x, y: what stands in the middle, in its pixels.
  const initial = { left: "input", right: viewer.dataset.right, view: "slider", zoom: null, x: WIDTH / 2, y: HEIGHT / 2, split: 50, amplify: 4 };
  let state = { ...initial };
  let flipped = false;
  let timer = 0;
  let frames = [];

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const label = (key) => figures.get(key).querySelector("figcaption").textContent;
  const round = (value, places) => String(Number(value.toFixed(places)));

  // --- The address

  function write() {
    clearTimeout(write.timer);
    // Browsers refuse more than some hundred changes of the address in half a minute.
    write.timer = setTimeout(() => history.replaceState(null, "", `#${fragment(true)}`), 200);
    pass();
  }

  // The next case opens as this one is seen, at its own place.
  function pass() {
    for (const link of document.querySelectorAll("a[rel=prev], a[rel=next]")) link.hash = fragment(false);
  }

  function fragment(place) {
    const parts = { left: state.left, right: state.right, view: state.view };
    if (state.view === "slider" && place) parts.split = round(state.split, 1);
    if (state.view === "difference") parts.amplify = state.amplify;
    if (state.zoom !== null && place) {
      Object.assign(parts, { zoom: round(state.zoom, 6), x: round(state.x, 3), y: round(state.y, 3) });
    }
    return new URLSearchParams(Object.entries(parts)).toString();
  }

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const number = (name, low, high) => {
      const value = given.has(name) ? Number(given.get(name)) : NaN;
      return Number.isFinite(value) ? clamp(value, low, high) : initial[name];
    };
    const among = (name, known) => (known(given.get(name)) ? given.get(name) : initial[name]);
    state = {
      left: among("left", (key) => figures.has(key)),
      right: among("right", (key) => figures.has(key)),
      view: among("view", (view) => VIEWS.includes(view)),
      amplify: Number(among("amplify", (factor) => ["1", "4", "16"].includes(factor))),
      zoom: number("zoom", 1 / MOST, MOST),
      x: number("x", 0, WIDTH),
      y: number("y", 0, HEIGHT),
      split: number("split", 0, 100),
    };
    build();
  }

  // --- The frames

  function element(name, className, text = "") {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function layer(key) {
    const made = element("div", "layer");
    const image = element("img", "");
    image.src = figures.get(key).querySelector("img").getAttribute("src");
    image.alt = figures.get(key).querySelector("img").alt;
    image.width = WIDTH;
    image.height = HEIGHT;
    image.decoding = "sync";
    image.draggable = false;
    made.append(image);
    return made;
  }

  function frame(keys, tags) {
    const made = element("div", "frame");
    const layers = element("div", "layers");
    layers.append(...keys.map(layer));
    made.append(layers, ...tags.map(([side, text]) => element("span", `tag ${side}`, text)));
    return made;
  }

  function build() {
    const { left, right, view } = state;
    stop();
    flipped = false;
    const pair = [left, right];
    if (view === "slider") frames = [frame(pair, [["left", label(left)], ["right", label(right)]])];
    else if (view === "flicker") frames = [frame(pair, [["left", ""]])];
    else if (view === "difference") frames = [frame(pair, [["left", `|${label(left)} − ${label(right)}| ×${state.amplify}`]])];
    else frames = (view === "side" ? pair : [...figures.keys()]).map((key) => frame([key], [["left", label(key)]]));
    if (view === "slider") frames[0].append(element("div", "divider"));
    stage.className = `stage ${view}`;
    stage.replaceChildren(...frames);
    byId("left").value = left;
    byId("right").value = right;
    byId(`view-${view}`).checked = true;
    byId(`amplify-${state.amplify}`).checked = true;
    for (const option of document.querySelectorAll(".option")) option.hidden = option.dataset.for !== view;
    compare();
    draw();
    pass();
  }

  function fit() {
    return frames[0].clientWidth / WIDTH;
  }

  function draw() {
    const columns = { side: 2, all: Math.max(1, getComputedStyle(stage).gridTemplateColumns.split(" ").length) }[state.view] || 1;
    const room = (stage.clientWidth - 8 * (columns - 1)) / columns;
    const tallest = Math.max(240, 0.75 * innerHeight);
    const width = Math.floor(state.view === "all" ? room : Math.min(room, (tallest * WIDTH) / HEIGHT));
    for (const one of frames) {
      one.style.width = `${width}px`;
      one.style.height = `${Math.round((width * HEIGHT) / WIDTH)}px`;
    }
    const [w, h] = [frames[0].clientWidth, frames[0].clientHeight];
    const zoom = state.zoom ?? fit();
    state.x = w >= WIDTH * zoom ? WIDTH / 2 : clamp(state.x, w / 2 / zoom, WIDTH - w / 2 / zoom);
    state.y = h >= HEIGHT * zoom ? HEIGHT / 2 : clamp(state.y, h / 2 / zoom, HEIGHT - h / 2 / zoom);
    const [dx, dy] = [Math.round(w / 2 - state.x * zoom), Math.round(h / 2 - state.y * zoom)];
    for (const one of frames) {
      one.classList.toggle("sharp", zoom * devicePixelRatio > 1);
      for (const image of one.querySelectorAll("img")) image.style.transform = `translate(${dx}px, ${dy}px) scale(${zoom})`;
    }
    const [first, second] = frames[0].querySelectorAll(".layer");
    if (state.view === "slider") {
      second.style.clipPath = `inset(0 0 0 ${state.split}%)`;
      frames[0].querySelector(".divider").style.left = `${state.split}%`;
      byId("divider").value = state.split;
      byId("divider").parentElement.style.width = `${width}px`;
    } else if (state.view === "flicker") {
      first.style.visibility = flipped ? "hidden" : "visible";
      second.style.visibility = flipped ? "visible" : "hidden";
      frames[0].querySelector(".tag").textContent = label(flipped ? state.right : state.left);
    } else if (state.view === "difference") {
      frames[0].querySelector(".layers").style.filter = `brightness(${state.amplify})`;
    }
    stage.classList.toggle("zoomed", zoom > fit() * 1.001);
    byId("zoom").textContent = `${Math.round(zoom * 100)} %`;
  }

  function compare() {
    const [left, right] = [state.left, state.right].map((key) => document.querySelector(`table.scores tr[data-key="${CSS.escape(key)}"]`));
    byId("pair-left").textContent = label(state.left);
    byId("pair-right").textContent = label(state.right);
    const heads = [...document.querySelectorAll("table.scores thead th")];
    const rows = heads.slice(2).map((head, place) => {
      const row = document.createElement("tr");
      const cells = [left, right].map((line) => line?.cells[place + 2].cloneNode(true) ?? element("td", "state", "–"));
      cells.forEach((cell) => cell.classList.remove("best"));
      const [a, b] = cells.map((cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : NaN));
      const sign = head.dataset.direction === "higher" ? 1 : -1;
      // As printed: what looks equal is not told apart.
      if (cells[0].textContent !== cells[1].textContent && a !== b && !Number.isNaN(a - b)) {
        cells[sign * a > sign * b ? 0 : 1].classList.add("best");
      }
      const name = element("th", "", head.querySelector("button").textContent.trim());
      name.scope = "row";
      row.append(name, ...cells);
      return row;
    });
    document.querySelector("table.pair tbody").replaceChildren(...rows);
  }

  // --- What one can do

  function change(values, rebuild = false) {
    Object.assign(state, values);
    if (rebuild) build();
    else draw();
    write();
  }

  function zoomTo(zoom, at = null) {
    const before = state.zoom ?? fit();
    const least = Math.min(fit(), 1);
    const after = clamp(zoom, least, MOST);
    // The point under the pointer stays where it is.
    const [w, h] = [frames[0].clientWidth, frames[0].clientHeight];
    const [px, py] = at ?? [w / 2, h / 2];
    const x = state.x + (px - w / 2) * (1 / before - 1 / after);
    const y = state.y + (py - h / 2) * (1 / before - 1 / after);
    change({ zoom: Math.abs(after - fit()) < 1e-3 * after ? null : after, x, y });
  }

  function moveBy(dx, dy) {
    const zoom = state.zoom ?? fit();
    change({ x: state.x + dx / zoom, y: state.y + dy / zoom });
  }

  function flick() {
    if (state.view !== "flicker") return;
    flipped = !flipped;
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    byId("automatic").checked = false;
  }

  function automatic() {
    const wanted = byId("automatic").checked && !lessMotion.matches;
    stop();
    if (!wanted) return;
    byId("automatic").checked = true;
    timer = setInterval(flick, 500);
  }

  function motion() {
    byId("automatic").disabled = lessMotion.matches;
    byId("still").hidden = !lessMotion.matches;
    if (lessMotion.matches) stop();
  }

  for (const side of ["left", "right"]) byId(side).addEventListener("change", () => change({ [side]: byId(side).value }, true));
  byId("swap").addEventListener("click", () => change({ left: state.right, right: state.left }, true));
  for (const input of document.querySelectorAll("input[name=view]")) input.addEventListener("change", () => change({ view: input.value }, true));
  for (const input of document.querySelectorAll("input[name=amplify]")) input.addEventListener("change", () => change({ amplify: Number(input.value) }, true));
  byId("divider").addEventListener("input", () => change({ split: Number(byId("divider").value) }));
  byId("flick").addEventListener("click", () => { stop(); flick(); });
  byId("automatic").addEventListener("change", automatic);
  byId("zoom-in").addEventListener("click", () => zoomTo((state.zoom ?? fit()) * Math.SQRT2));
  byId("zoom-out").addEventListener("click", () => zoomTo((state.zoom ?? fit()) / Math.SQRT2));
  byId("fit").addEventListener("click", () => change({ zoom: null }));
  byId("actual").addEventListener("click", () => zoomTo(1));

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 40;
    const actions = {
      "+": () => zoomTo((state.zoom ?? fit()) * Math.SQRT2),
      "=": () => zoomTo((state.zoom ?? fit()) * Math.SQRT2),
      "-": () => zoomTo((state.zoom ?? fit()) / Math.SQRT2),
      0: () => change({ zoom: null }),
      1: () => zoomTo(1),
      ArrowLeft: () => moveBy(-step, 0),
      ArrowRight: () => moveBy(step, 0),
      ArrowUp: () => moveBy(0, -step),
      ArrowDown: () => moveBy(0, step),
      " ": () => { stop(); flick(); },
    };
    const arrow = event.key.startsWith("Arrow");
    if (!(event.key in actions) || (arrow && !stage.classList.contains("zoomed"))) return;
    event.preventDefault();
    actions[event.key]();
  });

  // The page scrolls under the wheel until the pictures have been chosen by a click or by the keyboard.
  stage.addEventListener("wheel", (event) => {
    const within = event.target.closest(".frame");
    if (!within || !(event.ctrlKey || stage.matches(":focus"))) return;
    event.preventDefault();
    const box = within.getBoundingClientRect();
    zoomTo((state.zoom ?? fit()) * Math.exp(-event.deltaY * 0.002), [event.clientX - box.left, event.clientY - box.top]);
  }, { passive: false });

  // One pointer moves the pictures, or the divider if it starts there or nothing can be moved; two pinch.
  const pointers = new Map();
  let dragsDivider = false;

  stage.addEventListener("pointerdown", (event) => {
    const within = event.target.closest(".frame");
    if (!within || event.button !== 0) return;
    const box = within.getBoundingClientRect();
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    within.setPointerCapture(event.pointerId);
    const near = Math.abs(event.clientX - box.left - (box.width * state.split) / 100) < 24;
    dragsDivider = state.view === "slider" && pointers.size === 1 && (near || !stage.classList.contains("zoomed"));
    if (dragsDivider) change({ split: clamp((100 * (event.clientX - box.left)) / box.width, 0, 100) });
  });

  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const box = event.target.closest(".frame").getBoundingClientRect();
    const here = [event.clientX, event.clientY];
    if (pointers.size === 2) {
      dragsDivider = false;
      const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
      const ratio = Math.hypot(here[0] - other[0], here[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
      zoomTo((state.zoom ?? fit()) * ratio, [(here[0] + other[0]) / 2 - box.left, (here[1] + other[1]) / 2 - box.top]);
      moveBy((before[0] - here[0]) / 2, (before[1] - here[1]) / 2);
    } else if (dragsDivider) change({ split: clamp((100 * (here[0] - box.left)) / box.width, 0, 100) });
    else moveBy(before[0] - here[0], before[1] - here[1]);
    pointers.set(event.pointerId, here);
  });

  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => pointers.delete(event.pointerId));

  lessMotion.addEventListener("change", motion);
  addEventListener("hashchange", read);
  addEventListener("resize", draw);
  document.documentElement.classList.add("js");
  viewer.hidden = false;
  motion();
  read();
}
