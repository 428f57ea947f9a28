// Curves over time, with bands and marks.

// What the vertical axis must span: curves whole, bands whole on a log axis.
const extent = (chart, shown) => {
  if (chart.scale === "percent") return [0, 1];
  const values = chart.lines.filter(([arm]) => !hidden.has(arm)).map(([, value]) => value);
  for (const series of shown) {
    for (const list of [series.mid, series.low, series.high]) values.push(...list);
  }
  const finite = values.filter((v) => v !== null && (chart.scale !== "log" || v > 0));
  if (!finite.length) return [0.1, 1];
  let [low, high] = finite.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [Infinity, -Infinity]);
  if (chart.scale === "log") {
    if (high / low < 10) [low, high] = [low / 2, high * 2];
    return [low * 0.8, high * 1.25];
  }
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
};

const path = (xs, ys, x, y) => {
  let pen = "M";
  let line = "";
  xs.forEach((step, i) => {
    if (ys[i] === null) { pen = "M"; return; }
    line += `${pen}${x(step).toFixed(1)} ${y(ys[i]).toFixed(1)}`;
    pen = "L";
  });
  return line;
};

const band = (series, x, y) => {
  const pieces = [];
  let piece = [];
  series.x.forEach((step, i) => {
    if (series.low[i] === null) { pieces.push(piece); piece = []; return; }
    piece.push([x(step), y(series.low[i]), y(series.high[i])]);
  });
  pieces.push(piece);
  return pieces.filter((p) => p.length > 1).map((p) => {
    const there = p.map(([px, , high]) => `${px.toFixed(1)} ${high.toFixed(1)}`);
    const back = p.reverse().map(([px, low]) => `${px.toFixed(1)} ${low.toFixed(1)}`);
    return `M${there.join("L")}L${back.join("L")}Z`;
  }).join("");
};

const lineChart = (figure, chart) => {
  const caption = html("figcaption", {}, figure);
  html("b", {}, caption, chart.title + (chart.unit ? ` (${chart.unit})` : ""));
  caption.append(chart.help);
  const plot = html("div", { class: "plot" }, figure);
  const draw = () => {
    plot.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const height = 232;
    const [left, right, top, bottom] = [50, 10, 8, 26];
    const shown = chart.series.filter((series) => !hidden.has(series.arm));
    const last = Math.max(1, ...chart.series.map((s) => s.x[s.x.length - 1] || 0));
    const [low, high] = extent(chart, shown);
    const log = chart.scale === "log";
    const scale = log ? Math.log10 : (v) => v;
    const x = (step) => left + (step / last) * (width - left - right);
    const y = (value) => {
      const safe = log ? Math.max(value, low) : value;
      const share = (scale(safe) - scale(low)) / (scale(high) - scale(low));
      return height - bottom - share * (height - top - bottom);
    };
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": `${chart.title}: ${chart.help}` }, plot);

    for (const tick of log ? decades(low, high) : ticks(low, high, 5)) {
      svg("line", { class: "gridline", x1: left, x2: width - right, y1: y(tick), y2: y(tick) },
        root);
      const text = svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, root);
      text.textContent = chart.scale === "percent" ? percent(tick) : figures(tick);
    }
    for (const tick of ticks(0, last, width > 420 ? 5 : 3)) {
      const text = svg("text", { x: x(tick), y: height - 8, "text-anchor":
        x(tick) > width - right - 18 ? "end" : "middle" }, root);
      text.textContent = steps(tick);
    }
    svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom,
      y2: height - bottom }, root);

    for (const series of shown) {
      svg("path", { d: band(series, x, y), fill: colour(series.arm), opacity: 0.16 }, root);
    }
    for (const series of shown) {
      for (const run of series.runs) {
        svg("path", { d: path(series.x, run, x, y), fill: "none", stroke: colour(series.arm),
          "stroke-width": 1, opacity: 0.28 }, root);
      }
    }
    for (const series of shown) {
      svg("path", { d: path(series.x, series.mid, x, y), fill: "none",
        stroke: colour(series.arm), "stroke-width": 2.2, "stroke-linejoin": "round",
        "stroke-dasharray": dash(series.arm) }, root);
    }
    for (const [arm, value, label] of chart.lines) {
      if (hidden.has(arm)) continue;
      svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value),
        stroke: "var(--ink)", "stroke-width": 1.2, "stroke-dasharray": "5 4" }, root);
      const text = svg("text", { class: "label", x: width - right, y: y(value) - 5,
        "text-anchor": "end" }, root);
      text.textContent = `${label} at ${figures(value)}`;
    }
    for (const [arm, step] of chart.marks) {
      if (hidden.has(arm)) continue;
      const [cx, cy] = [x(step), height - bottom - 7];
      const mark = svg("path", { d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`, stroke: colour(arm),
        "stroke-width": 2.4, "stroke-linecap": "round" }, root);
      svg("title", {}, mark).textContent =
        `${data.arms[arm]} diverged after ${steps(step)} steps`;
    }
    hover(plot, root, chart, shown, x, { left, right, top, bottom, width, height });
  };
  watch(figure, draw);
};

// A line under the pointer and the values there.
const hover = (plot, root, chart, shown, x, box) => {
  const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.height - box.bottom,
    visibility: "hidden" }, root);
  const tip = html("div", { class: "tip", hidden: "" }, plot);
  const leave = () => { cursor.setAttribute("visibility", "hidden"); tip.hidden = true; };
  const move = (event) => {
    const at = event.clientX - root.getBoundingClientRect().left;
    const rows = [];
    let place = null;
    for (const series of shown) {
      let best = -1;
      series.x.forEach((step, i) => {
        if (series.mid[i] === null) return;
        if (best < 0 || Math.abs(x(step) - at) < Math.abs(x(series.x[best]) - at)) best = i;
      });
      if (best < 0 || Math.abs(x(series.x[best]) - at) > 24) continue;
      place ??= series.x[best];
      rows.push([series, best]);
    }
    if (place === null) { leave(); return; }
    set(cursor, { x1: x(place), x2: x(place), visibility: "visible" });
    tip.replaceChildren();
    html("small", {}, tip, `${steps(place)} steps`);
    for (const [series, i] of rows) {
      const line = html("div", {}, tip);
      html("span", { class: `arm arm${series.arm % COLOURS}` }, line, data.arms[series.arm]);
      line.append(` ${write(chart, series.mid[i])} `);
      if (series.low[i] !== null) {
        const ends = [series.low[i], series.high[i]].map((v) => write(chart, v));
        html("small", {}, line, `${ends[0]} to ${ends[1]}`);
      }
      const most = Math.max(...series.n);
      if (chart.runs && series.n[i] < most) {
        html("small", {}, line, `${series.n[i]} of ${most} runs`);
      }
    }
    tip.hidden = false;
    const room = box.width - tip.offsetWidth;
    const beside = x(place) + 12 > room ? x(place) - tip.offsetWidth - 12 : x(place) + 12;
    tip.style.left = `${Math.max(0, Math.min(beside, room))}px`;
    tip.style.top = `${box.top}px`;
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerdown", move);
  root.addEventListener("pointerleave", leave);
};
