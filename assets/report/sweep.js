// Outcomes against a setting: success above, the share of diverged runs below. The lines are not
// arms, so the chart has its own legend.

const sweepChart = (figure, chart) => {
  const plot = frame(figure, chart.title, chart.help);
  const notes = html("ul", { class: "notes" });
  plot.before(notes);
  if (chart.series.length > 1) {
    chart.series.forEach(({ label }, index) => {
      const line = html("li", {}, notes);
      swatch(index, line);
      line.append(` ${label}`);
    });
  }
  const draw = () => {
    plot.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const [left, right, top, middle, gap, floor] = [50, 18, 22, 160, 36, 270];
    const height = floor + 44;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": `${chart.title}: ${chart.help}` }, plot);
    const slot = (width - left - right) / chart.values.length;
    const x = (index) => left + (index + 0.5) * slot;
    const panels = [
      ["final success", top, middle, ({ success }) => success],
      ["runs that diverged", middle + gap, floor, ({ diverged: [some, all] }) => some / all],
    ];
    chart.values.forEach((value, index) => {
      svg("line", { class: "gridline", x1: x(index), x2: x(index), y1: top, y2: floor }, root);
      svg("text", { x: x(index), y: floor + 18, "text-anchor": "middle" }, root).textContent =
        value === null ? "no clip" : String(value);
    });
    svg("text", { class: "axis-name", x: (left + width - right) / 2, y: floor + 36,
      "text-anchor": "middle" }, root).textContent = chart.path;
    for (const [name, high, low, of] of panels) {
      const y = (share) => low - share * (low - high);
      svg("text", { class: "axis-name", x: 2, y: high - 9 }, root).textContent = name;
      for (const tick of [0, 0.5, 1]) {
        svg("line", { class: "gridline", x1: left, x2: width - right, y1: y(tick), y2: y(tick) },
          root);
        svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, root).textContent =
          percent(tick);
      }
      chart.series.forEach(({ points }, line) => {
        // Shifted sideways, so that equal values do not hide each other.
        const shift = (line - (chart.series.length - 1) / 2) * Math.min(9, slot / 12);
        const known = points.map((point, index) => [index, point && of(point)])
          .filter(([, value]) => value !== null);
        const corners = known.map(([index, value]) => [x(index) + shift, y(value)]);
        svg("path", { d: pen(corners), fill: "none", stroke: colour(line), "stroke-width": 2,
          "stroke-dasharray": dash(line) }, root);
        for (const [index, value] of known) {
          const point = points[index];
          const cx = x(index) + shift;
          if (high === top) {
            if (point.interval) {
              const [from, to] = point.interval.map(y);
              svg("line", { x1: cx, x2: cx, y1: from, y2: to, stroke: colour(line),
                "stroke-width": 7, opacity: 0.25 }, root);
            }
            for (const run of point.runs) {
              svg("circle", { cx, cy: y(run), r: 2.6, fill: colour(line), opacity: 0.55 }, root);
            }
          }
          const dot = svg("circle", { cx, cy: y(value), r: 4.4, fill: "var(--card)",
            stroke: colour(line), "stroke-width": 2.2 }, root);
          const [some, all] = point.diverged;
          svg("title", {}, dot).textContent = `${chart.series[line].label || name}: ${
            percent(value)}; ${some} of ${all} runs diverged`;
        }
      });
    }
  };
  watch(figure, draw);
};
