// Shared by all charts of the page: the data, helpers and the legend. The files of this folder are
// concatenated into one module. They fetch nothing.

const data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = 6;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
const colour = (arm) => `var(--arm${arm % COLOURS})`;
const dash = (arm) => DASHES[arm % DASHES.length];
const hidden = new Set();
const redraws = [];
const redraw = () => redraws.forEach((draw) => draw());

const SVG = "http://www.w3.org/2000/svg";
const set = (node, attributes) => {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const svg = (name, attributes = {}, parent) => {
  const node = set(document.createElementNS(SVG, name), attributes);
  if (parent) parent.append(node);
  return node;
};
const html = (name, attributes = {}, parent, text) => {
  const node = set(document.createElement(name), attributes);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};
const figures = (value) => {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e5 || size < 1e-3) {
    return value.toExponential(1).replace("e+", "e").replace("-", "−");
  }
  return String(Number(value.toPrecision(3))).replace("-", "−");
};
const steps = (value) => {
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (value >= size) return Number((value / size).toPrecision(3)) + unit;
  }
  return String(Math.round(value));
};
const percent = (share) => `${Number((share * 100).toFixed(1))} %`;
const write = (chart, value) => {
  if (chart.scale === "percent") return percent(value);
  return figures(value) + (chart.unit ? ` ${chart.unit}` : "");
};
const swatch = (arm, parent) => {
  const icon = svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, parent);
  svg("line", { x1: 0, y1: 5, x2: 26, y2: 5, stroke: colour(arm), "stroke-width": 3,
    "stroke-dasharray": dash(arm) }, icon);
};
// Round numbers that cover a range.
const ticks = (low, high, count) => {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= raw * 0.99);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) {
    found.push(i * step);
  }
  return found;
};
const decades = (low, high) => {
  const found = [];
  if (high / low < 300) {
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
      found.push(...[1, 2, 5].map((m) => m * power).filter((v) => v >= low && v <= high));
    }
    return found;
  }
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / 6));
  for (let power = first; power <= last; power += every) found.push(10 ** power);
  return found;
};

// ---- Parts of a chart

// Adds the caption to a figure and returns the element to draw in.
const frame = (figure, title, help) => {
  const caption = html("figcaption", {}, figure);
  html("b", {}, caption, title);
  caption.append(help);
  return html("div", { class: "plot" }, figure);
};

// Maps steps to pixels between `from` and `to`. `at` is where a value at a step is drawn: in the
// middle of the step on an axis of whole steps. `edge` is where the step begins.
const timeScale = (axis, from, to) => {
  const share = axis.log
    ? (step) => Math.log10(Math.max(step, 0) + 1) / Math.log10(axis.end + 1)
    : (step) => step / axis.end;
  const edge = (step) => from + Math.min(Math.max(share(step), 0), 1) * (to - from);
  const at = (step) => edge(axis.whole ? step + 0.5 : step);
  return { at, edge };
};

const timeTicks = (axis, count) => {
  if (!axis.log) return ticks(0, axis.end, count);
  const found = [0];
  for (let power = 1; power <= axis.end; power *= 10) {
    found.push(...(count > 4 ? [1, 3] : [1]).map((m) => m * power).filter((v) => v <= axis.end));
  }
  return found;
};

// The line, numbers and name of a time axis below a plot.
const drawTime = (root, axis, x, { left, right, width, floor, numbers }) => {
  svg("line", { class: "axis", x1: left, x2: width - right, y1: floor, y2: floor }, root);
  let free = -Infinity;
  for (const tick of timeTicks(axis, width > 420 ? 5 : 3)) {
    const place = x.at(tick);
    if (place < free) continue;
    const late = place > width - right - 18;
    const text = svg("text", { x: late ? width - right : place, y: numbers,
      "text-anchor": late ? "end" : "middle" }, root);
    text.textContent = steps(tick);
    free = place + 34;
  }
  const name = svg("text", { class: "axis-name", x: (left + width - right) / 2, y: numbers + 17,
    "text-anchor": "middle" }, root);
  name.textContent = axis.name + (axis.log ? " (logarithmic)" : "");
};

// A box of text that is shown beside a point in a plot.
const tooltip = (plot) => {
  const tip = html("div", { class: "tip", hidden: "" }, plot);
  return {
    tip,
    hide: () => { tip.hidden = true; },
    show: (x, y, width) => {
      tip.hidden = false;
      const room = width - tip.offsetWidth;
      const beside = x + 12 > room ? x - tip.offsetWidth - 12 : x + 12;
      tip.style.left = `${Math.max(0, Math.min(beside, room))}px`;
      tip.style.top = `${y}px`;
    },
  };
};

// A name of at most `most` characters: what is too much is left out of its middle, because names of
// one comparison often begin alike and end differently.
const shorten = (name, most = 30) => {
  const letters = [...name];
  if (letters.length <= most) return name;
  const tail = Math.floor((most - 1) / 2);
  return `${letters.slice(0, most - 1 - tail).join("")}…${letters.slice(-tail).join("")}`;
};

const armName = (arm, parent) =>
  html("span", { class: `arm arm${arm % COLOURS}`, title: data.arms[arm] }, parent,
    shorten(data.arms[arm]));

// The SVG path through these points.
const pen = (points) => points.map(([x, y], i) =>
  `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// Draws now and whenever the width changes.
const watch = (node, draw) => {
  let width = node.clientWidth;
  draw();
  redraws.push(draw);
  new ResizeObserver(() => {
    if (node.clientWidth === width) return;
    width = node.clientWidth;
    requestAnimationFrame(draw);
  }).observe(node);
};

// ---- Legend

const legend = document.getElementById("legend");
data.arms.forEach((name, arm) => {
  const chip = html("button", { class: "chip", type: "button", "aria-pressed": "true",
    title: `show or hide ${name}` }, legend);
  swatch(arm, chip);
  html("span", {}, chip, shorten(name));
  chip.addEventListener("click", () => {
    if (!hidden.delete(arm)) hidden.add(arm);
    chip.setAttribute("aria-pressed", String(!hidden.has(arm)));
    redraw();
  });
});
