// Curves over steps, with bands, divergence marks and event lanes.

// The range of the vertical axis: all curves and bands that are shown.
const extent = (chart, shown) => {
  if (chart.scale === "percent") return [0, 1];
  const values = chart.levels.filter(([arm]) => !hidden.has(arm)).map(([, value]) => value);
  for (const series of shown) {
    for (const list of [series.mid, series.low, series.high, ...series.runs]) values.push(...list);
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
  const [least, most] = chart.bounds ?? [-Infinity, Infinity];
  return [Math.max(low - room, least), Math.min(high + room, most)];
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

// Event marks below the curves. A tooltip describes a mark on hover and on focus.
const drawLanes = (root, chart, x, box, tips, focusable) => {
  chart.lanes.forEach((lane, index) => {
    const advice = lane.advice?.replaceAll("`", "");
    const y = box.lanes + index * box.lane;
    const middle = y + box.lane - 11;
    svg("line", { class: "gridline", x1: box.left, x2: box.width - box.right, y1: middle,
      y2: middle }, root);
    svg("text", box.beside
      ? { class: "lane", x: box.left - 8, y: middle + 4, "text-anchor": "end" }
      : { class: "lane", x: 2, y: y + 15 }, root).textContent = lane.name;
    for (const mark of lane.marks) {
      if (hidden.has(mark.arm)) continue;
      const [cx, cy] = [x.at(mark.x), middle];
      const words = mark.text + (advice ? `. What usually helps: ${advice}` : "");
      const holder = mark.href ? svg("a", { href: mark.href }, root) : svg("g", {}, root);
      set(holder, { class: "mark", "aria-label": words });
      if (!mark.href) holder.setAttribute("role", "img");
      if (focusable) holder.setAttribute("tabindex", "0");
      svg("circle", { cx, cy, r: 9, fill: "transparent" }, holder);
      const look = { stroke: colour(mark.arm), "stroke-width": 1.8 };
      if (mark.critical) {
        svg("path", { d: `M${cx} ${cy - 6}l6 10h-12z`, fill: colour(mark.arm), ...look }, holder);
      } else {
        svg("circle", { cx, cy, r: 4, fill: "var(--card)", ...look }, holder);
      }
      const show = () => {
        tips.tip.replaceChildren();
        tips.tip.classList.add("words");
        html("div", {}, tips.tip, mark.text);
        if (advice) html("small", {}, tips.tip, `What usually helps: ${advice}.`);
        if (mark.href) html("small", {}, tips.tip, "Click to open the incident.");
        tips.show(cx, middle + 12, box.width);
      };
      for (const event of ["pointerenter", "focus"]) holder.addEventListener(event, show);
      for (const event of ["pointerleave", "blur"]) holder.addEventListener(event, tips.hide);
    }
  });
};

// The named values of a chart, each once, from the lowest up.
const levelLabels = (chart) => {
  const shown = chart.levels.filter(([arm]) => !hidden.has(arm));
  const texts = new Map(shown.map(([, value, label]) => [value, `${label} at ${figures(value)}`]));
  return [...texts].map(([value, text]) => ({ value, text })).sort((a, b) => a.value - b.value);
};

const lineChart = (figure, chart) => {
  const wide = figure.classList.contains("wide");
  let help = chart.help;
  if (wide && chart.lanes.length) help += "; below, ▲ critical events and ○ warnings of the detectors";
  const plot = frame(figure, chart.title + (chart.unit ? ` (${chart.unit})` : ""), help);
  const draw = () => {
    plot.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    // Lane names stand beside the lanes if there is room, otherwise above. Charts that are not wide
    // have short lane names.
    const beside = !wide || width > 700;
    const lane = beside ? 22 : 38;
    const levels = levelLabels(chart);
    // Levels are named to the right of the plot, where no curve runs.
    const longest = Math.max(0, ...levels.map(({ text }) => text.length));
    const [left, right, top] = [wide && beside && chart.lanes.length ? 150 : 50,
      longest ? 14 + 6.6 * longest : 10, 8];
    const floor = wide ? 250 : 206;
    const numbers = floor + chart.lanes.length * lane + 18;
    const height = numbers + 24;
    const shown = chart.series.filter((series) => !hidden.has(series.arm));
    const [low, high] = extent(chart, shown);
    const log = chart.scale === "log";
    const scale = log ? Math.log10 : (v) => v;
    const time = timeScale(chart.axis, left, width - right);
    const x = time.at;
    const y = (value) => {
      const safe = log ? Math.max(value, low) : value;
      const share = (scale(safe) - scale(low)) / (scale(high) - scale(low));
      return floor - share * (floor - top);
    };
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group",
      "aria-label": `${chart.title}: ${help}` }, plot);

    for (const tick of log ? decades(low, high) : ticks(low, high, 5)) {
      svg("line", { class: "gridline", x1: left, x2: width - right, y1: y(tick), y2: y(tick) },
        root);
      const text = svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, root);
      text.textContent = chart.scale === "percent" ? percent(tick) : figures(tick);
    }
    drawTime(root, chart.axis, time, { left, right, width, floor, numbers });

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
    let free = Infinity;
    for (const { value, text } of levels) {
      svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value),
        stroke: "var(--ink)", "stroke-width": 1.2, "stroke-dasharray": "5 4" }, root);
      free = Math.min(y(value) + 4, free - 14);
      svg("text", { class: "label", x: width - right + 6, y: free }, root).textContent = text;
    }
    for (const [arm, step] of chart.marks) {
      if (hidden.has(arm)) continue;
      const [cx, cy] = [x(step), floor - 7];
      if (wide) {
        svg("line", { x1: cx, x2: cx, y1: top, y2: floor, stroke: colour(arm),
          "stroke-width": 1, "stroke-dasharray": "2 3", opacity: 0.7 }, root);
      }
      const mark = svg("path", { d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`, stroke: colour(arm),
        "stroke-width": 2.4, "stroke-linecap": "round" }, root);
      svg("title", {}, mark).textContent =
        `${data.arms[arm]} diverged after ${steps(step)} ${chart.axis.name}`;
    }
    const box = { left, right, top, bottom: height - floor, width, height, lane, beside,
      lanes: floor + 2 };
    const tips = hover(plot, root, chart, shown, x, box);
    drawLanes(root, chart, time, box, tips, wide);
  };
  watch(figure, draw);
};

// A vertical line at the pointer with the values there.
const hover = (plot, root, chart, shown, x, box) => {
  const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.height - box.bottom,
    visibility: "hidden" }, root);
  const tips = tooltip(plot);
  const leave = () => { cursor.setAttribute("visibility", "hidden"); tips.hide(); };
  const move = (event) => {
    if (event.target.closest(".mark")) return;
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
    const { tip } = tips;
    tip.classList.remove("words");
    tip.replaceChildren();
    html("small", {}, tip, `${chart.axis.name}: ${steps(place)}`);
    for (const [series, i] of rows) {
      const line = html("div", {}, tip);
      armName(series.arm, line);
      line.append(` ${write(chart, series.mid[i])} `);
      if (series.low[i] !== null && series.n[i] > 1) {
        const ends = [series.low[i], series.high[i]].map((v) => write(chart, v));
        html("small", {}, line, `${ends[0]} to ${ends[1]}`);
      }
      const most = Math.max(...series.n);
      if (chart.aggregates_runs && series.n[i] < most) {
        html("small", {}, line, `${series.n[i]} of ${most} runs`);
      }
    }
    tips.show(x(place), box.top, box.width);
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerdown", move);
  root.addEventListener("pointerleave", leave);
  return tips;
};
