// Histograms over optimiser steps on a logarithmic axis, with quantiles below.

const histogramChart = (figure, chart) => {
  const plot = frame(figure, chart.title, chart.help);
  const notes = html("ul", { class: "notes" });
  plot.before(notes);
  const [low, high] = chart.range.map(Math.log10);
  const draw = () => {
    plot.replaceChildren();
    notes.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const shown = chart.arms.filter(({ arm }) => !hidden.has(arm));
    // The lines are named above the plot, where no curve runs.
    const [left, right, top, floor, row] = [50, 14, 34, 186, 18];
    const numbers = floor + shown.length * row + 20;
    const height = numbers + 24;
    const place = (share) => left + share * (width - left - right);
    const x = (value) => place((Math.log10(value) - low) / (high - low));
    const most = Math.max(0.01, ...shown.flatMap(({ shares }) => shares)) * 1.08;
    const y = (share) => floor - (share / most) * (floor - top);
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": `${chart.title}: ${chart.help}` }, plot);
    for (const tick of ticks(0, most, 4)) {
      svg("line", { class: "gridline", x1: left, x2: width - right, y1: y(tick), y2: y(tick) },
        root);
      svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, root).textContent =
        percent(tick);
    }
    let free = -Infinity;
    for (const tick of decades(...chart.range)) {
      svg("line", { class: "gridline", x1: x(tick), x2: x(tick), y1: top, y2: numbers - 14 }, root);
      if (x(tick) < free) continue;
      svg("text", { x: x(tick), y: numbers, "text-anchor": "middle" }, root).textContent =
        figures(tick);
      free = x(tick) + 34;
    }
    svg("text", { class: "axis-name", x: place(0.5), y: numbers + 17, "text-anchor": "middle" },
      root).textContent = `${chart.axis} (logarithmic)`;
    svg("text", { class: "axis-name", x: 2, y: 27 }, root).textContent = "share of steps";

    for (const { arm, shares } of shown) {
      const corners = shares.flatMap((share, bin) =>
        [bin, bin + 1].map((edge) => [place(edge / shares.length), y(share)]));
      const line = pen(corners);
      svg("path", { d: `${line}L${place(1)} ${floor}L${place(0)} ${floor}Z`, fill: colour(arm),
        opacity: 0.14 }, root);
      svg("path", { d: line, fill: "none", stroke: colour(arm), "stroke-width": 2,
        "stroke-dasharray": dash(arm) }, root);
    }
    const drawn = new Set();
    let next = left + 80;
    for (const [arm, value, label] of chart.lines) {
      if (hidden.has(arm) || drawn.has(value) || value < chart.range[0] ||
        value > chart.range[1]) continue;
      drawn.add(value);
      svg("line", { x1: x(value), x2: x(value), y1: top, y2: floor, stroke: "var(--ink)",
        "stroke-width": 1.2, "stroke-dasharray": "5 4" }, root);
      const text = `${label} at ${figures(value)}`;
      const long = 6.6 * text.length;
      const start = Math.max(next, Math.min(x(value) - long / 2, width - right - long));
      next = start + long + 8;
      svg("text", { class: "label", x: start, y: top - 6 }, root).textContent = text;
    }
    svg("line", { class: "axis", x1: left, x2: width - right, y1: floor, y2: floor }, root);
    shown.forEach(({ arm, marks, note }, index) => {
      const cy = floor + (index + 0.5) * row + 2;
      const group = svg("g", { stroke: colour(arm), "stroke-width": 2 }, root);
      const [middle, ten, hundred, end] = marks.map(([, value]) => x(value));
      svg("line", { x1: middle, x2: end, y1: cy, y2: cy, "stroke-width": 1.2 }, group);
      svg("circle", { cx: middle, cy, r: 3.6, fill: colour(arm) }, group);
      for (const at of [ten, hundred]) {
        svg("line", { x1: at, x2: at, y1: cy - 5, y2: cy + 5 }, group);
      }
      svg("path", { d: `M${end - 4} ${cy - 4}l8 8m0 -8l-8 8`, fill: "none" }, group);
      const words = marks.map(([name, value]) => `${name} ${figures(value)}`).join(", ");
      svg("title", {}, group).textContent = `${data.arms[arm]}: ${words}`;
      const line = html("li", {}, notes);
      armName(arm, line);
      line.append(` ${words}${note ? `; ${note}` : ""}`);
    });

    const tips = tooltip(plot);
    root.addEventListener("pointermove", (event) => {
      const at = event.clientX - root.getBoundingClientRect().left;
      const share = (at - left) / (width - left - right);
      if (share < 0 || share >= 1 || !shown.length) { tips.hide(); return; }
      const count = shown[0].shares.length;
      const bin = Math.floor(share * count);
      const ends = [bin, bin + 1].map((e) => figures(10 ** (low + (e / count) * (high - low))));
      tips.tip.replaceChildren();
      html("small", {}, tips.tip, `${chart.axis} ${ends[0]} to ${ends[1]}`);
      for (const { arm, shares } of shown) {
        const line = html("div", {}, tips.tip);
        armName(arm, line);
        line.append(` ${percent(shares[bin])} of the steps`);
      }
      tips.show(at, top, width);
    });
    root.addEventListener("pointerleave", tips.hide);
  };
  watch(figure, draw);
};
