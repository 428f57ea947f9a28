// What every chart of the page shares: the data, small tools, the legend. All files of this folder
// are joined into one module; nothing is fetched, and nothing but the page is touched.

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

// Draws now, and again whenever the width changes.
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
  html("span", {}, chip, name);
  chip.addEventListener("click", () => {
    if (!hidden.delete(arm)) hidden.add(arm);
    chip.setAttribute("aria-pressed", String(!hidden.has(arm)));
    redraw();
  });
});
