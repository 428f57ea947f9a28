// Heat maps over optimiser steps, one panel for each arm of the chosen seed.

// Viridis: lightness rises monotonically, so it reads with every kind of colour vision.
const VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58",
  "b5de2b", "fde725"].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const NOT_FINITE = "#e0218a";
const viridis = (share) => {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mix = VIRIDIS[below].map((v, k) => v + (VIRIDIS[below + 1][k] - v) * (place - below));
  return `rgb(${mix.map(Math.round).join(" ")})`;
};

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
// Decodes a cell: two base-64 letters, an exponent of ten in hundredths from −20. 0 is an empty cell
// (null), 4095 a value that is not finite.
const cellOf = (row, column) => {
  const code = LETTERS.indexOf(row[2 * column]) * 64 + LETTERS.indexOf(row[2 * column + 1]);
  if (code === 0) return null;
  return code === 4095 ? Infinity : 10 ** (code / 100 - 20);
};

const heatMap = (figure, chart) => {
  const { axis, edges, range, panels } = chart;
  const plot = frame(figure, chart.title, chart.help);
  const overTime = chart.rows === "t";
  let seed = chart.seeds[0];
  if (chart.seeds.length > 1) {
    const label = html("label", { class: "choice" }, figure.querySelector("figcaption"), "Seed ");
    const select = html("select", {}, label);
    for (const value of chart.seeds) {
      const lost = panels.filter((p) => p.seed === value && p.diverged !== null);
      const arms = lost.map((p) => data.arms[p.arm]).join(", ");
      html("option", { value }, select, arms ? `${value} (${arms} diverged)` : String(value));
    }
    select.addEventListener("change", () => { seed = Number(select.value); draw(); });
  }
  const [low, high] = range.map(Math.log10);
  const shade = (value) => value === Infinity ? NOT_FINITE
    : viridis((Math.log10(value) - low) / (high - low));

  const draw = () => {
    plot.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const narrow = width < 560;
    const shown = panels.filter((panel) => panel.seed === seed && !hidden.has(panel.arm));
    const brief = (name) => {
      const rest = name.split(" ").slice(1).join(" ") || name;
      return narrow ? rest.replace(", weights", " W").replace(", biases", " b") : rest;
    };
    const names = overTime ? [] : shown.flatMap((panel) => panel.names);
    const longest = Math.max(0, ...names.map((name) => brief(name).length));
    const left = overTime ? 44 : Math.min(30 + longest * 6.8, width * 0.5);
    const right = 10;
    const time = timeScale(axis, left, width - right);

    key(width, left, right);
    shown.forEach((panel) => {
      const rowHeight = overTime ? Math.max(2.5, 150 / panel.names.length) : narrow ? 14 : 15;
      const top = 22;
      const floor = top + panel.names.length * rowHeight;
      const height = floor + 42;
      const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
        "aria-label": `${chart.title}, ${data.arms[panel.arm]}, seed ${seed}` }, plot);
      const title = svg("text", { class: "label", x: narrow ? 2 : left, y: 15,
        style: `fill:${colour(panel.arm)};font-weight:620;font-size:14px` }, root);
      title.textContent = data.arms[panel.arm] +
        (panel.diverged === null ? "" : `: diverged at optimiser step ${panel.diverged}`);

      const canvas = html("canvas", { width: Math.max(1, Math.round(width - right - left)),
        height: Math.max(1, Math.round(floor - top)) });
      const pen = canvas.getContext("2d");
      panel.cells.forEach((row, r) => {
        const [y0, y1] = [r, r + 1].map((at) => Math.round(at * rowHeight));
        for (let column = 0; column + 1 < edges.length; column++) {
          const value = cellOf(row, column);
          if (value === null) continue;
          const [x0, x1] = [0, 1].map((i) => Math.round(time.edge(edges[column + i]) - left));
          pen.fillStyle = shade(value);
          pen.fillRect(x0, y0, Math.max(1, x1 - x0), y1 - y0);
        }
      });
      svg("rect", { class: "nothing", x: left, y: top, width: width - right - left,
        height: floor - top }, root);
      svg("image", { href: canvas.toDataURL(), x: left, y: top, width: width - right - left,
        height: floor - top, preserveAspectRatio: "none", style: "image-rendering:pixelated" },
        root);

      if (overTime) {
        const every = Math.max(1, Math.ceil(panel.names.length / 6));
        panel.names.forEach((name, r) => {
          const last = r === panel.names.length - 1;
          if (!last && (r % every || r > panel.names.length - 1 - every / 2)) return;
          svg("text", { x: left - 6, y: top + (r + 0.5) * rowHeight + 4, "text-anchor": "end" },
            root).textContent = name;
        });
        const y = (top + floor) / 2;
        svg("text", { class: "axis-name", x: 11, y, "text-anchor": "middle",
          transform: `rotate(-90 11 ${y})` }, root).textContent = "step t";
      } else {
        const group = (name) => name.split(" ")[0];
        panel.names.forEach((name, r) => {
          const y = top + r * rowHeight;
          svg("text", { class: "row", x: left - 6, y: y + rowHeight / 2 + 4,
            "text-anchor": "end" }, root).textContent = brief(name);
          if (r && group(name) === group(panel.names[r - 1])) return;
          const count = panel.names.filter((other) => group(other) === group(name)).length;
          const middle = y + (count * rowHeight) / 2;
          svg("text", { class: "axis-name", x: 11, y: middle, "text-anchor": "middle",
            transform: `rotate(-90 11 ${middle})` }, root).textContent = group(name);
          if (r) svg("line", { class: "divide", x1: 2, x2: width - right, y1: y, y2: y }, root);
        });
      }
      if (panel.diverged !== null) {
        const x = time.edge(panel.diverged + 1);
        svg("line", { x1: x, x2: x, y1: top, y2: floor, stroke: colour(panel.arm),
          "stroke-width": 2 }, root);
      }
      drawTime(root, axis, time, { left, right, width, floor, numbers: floor + 17 });

      const tips = tooltip(plot);
      root.addEventListener("pointermove", (event) => {
        const place = root.getBoundingClientRect();
        const [px, py] = [event.clientX - place.left, event.clientY - place.top];
        const row = Math.floor((py - top) / rowHeight);
        let column = edges.findIndex((edge, i) => i + 1 < edges.length &&
          px >= time.edge(edge) && px < time.edge(edges[i + 1]));
        const value = panel.cells[row] && column >= 0 ? cellOf(panel.cells[row], column) : null;
        if (value === null) { tips.hide(); return; }
        const [first, last] = [edges[column], edges[column + 1] - 1];
        tips.tip.replaceChildren();
        html("small", {}, tips.tip, first === last ? `optimiser step ${first}`
          : `optimiser steps ${first} to ${last}`);
        const name = overTime ? `after step t = ${panel.names[row]}` : panel.names[row];
        html("div", {}, tips.tip, `${name}: ${value === Infinity ? "not finite" : figures(value)}`);
        tips.show(px, root.offsetTop || place.top - plot.getBoundingClientRect().top + py + 16,
          width);
      });
      root.addEventListener("pointerleave", tips.hide);
    });
  };

  // The colour scale.
  const key = (width, left, right) => {
    const root = svg("svg", { viewBox: `0 0 ${width} 34`, height: 34, role: "img",
      "aria-label": `colours from ${figures(range[0])} to ${figures(range[1])}` }, plot);
    const broken = panels.some((panel) => panel.cells.some((row) => row.match(/^(..)*\/\//)));
    const from = width < 560 ? 10 : left;
    const to = Math.min(width - right, from + 400) - (broken ? 84 : 0);
    for (let i = 0; i < 40; i++) {
      svg("rect", { x: from + (i * (to - from)) / 40, y: 4, width: (to - from) / 40 + 0.6,
        height: 10, fill: viridis(i / 39) }, root);
    }
    let free = -Infinity;
    for (const tick of decades(...range)) {
      const x = from + ((Math.log10(tick) - low) / (high - low)) * (to - from);
      if (x < free) continue;
      svg("text", { x, y: 27, "text-anchor": "middle" }, root).textContent = figures(tick);
      free = x + 38;
    }
    if (broken) {
      svg("rect", { x: to + 12, y: 4, width: 10, height: 10, fill: NOT_FINITE }, root);
      svg("text", { x: to + 26, y: 14 }, root).textContent = "not finite";
    }
  };
  watch(figure, draw);
};
