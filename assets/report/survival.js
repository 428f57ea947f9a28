// Survival curves: the share of runs that have not diverged.

const survivalChart = (figure, chart) => {
  const plot = frame(figure, chart.title, chart.help);
  const notes = html("ul", { class: "notes" });
  plot.before(notes);
  const draw = () => {
    plot.replaceChildren();
    notes.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const [left, right, top, floor] = [50, 12, 10, 206];
    const [numbers, height] = [floor + 18, floor + 42];
    const time = timeScale(chart.axis, left, width - right);
    const y = (share) => floor - share * (floor - top);
    const shown = chart.arms.filter(({ arm }) => !hidden.has(arm));
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": `${chart.title}: ${chart.help}` }, plot);
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      svg("line", { class: "gridline", x1: left, x2: width - right, y1: y(tick), y2: y(tick) },
        root);
      svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, root).textContent =
        percent(tick);
    }
    drawTime(root, chart.axis, time, { left, right, width, floor, numbers });
    for (const { arm, runs, failed, drops, intervals, censored } of shown) {
      const end = Math.max(0, ...drops.map(([step]) => step), ...censored.map(([step]) => step));
      // The corners of a step function that takes these values after each drop.
      const stairs = (values) => {
        const corners = [[time.edge(0), y(1)]];
        drops.forEach(([step], i) => {
          corners.push([time.at(step), corners[corners.length - 1][1]]);
          corners.push([time.at(step), y(values[i])]);
        });
        corners.push([time.at(end), corners[corners.length - 1][1]]);
        return corners;
      };
      if (intervals) {
        const [lows, highs] = [0, 1].map((k) => stairs(intervals.map((ends) => ends[k])));
        svg("path", { d: `${pen([...highs, ...lows.reverse()])}Z`, fill: colour(arm),
          opacity: 0.14 }, root);
      }
      svg("path", { d: pen(stairs(drops.map(([, share]) => share))), fill: "none",
        stroke: colour(arm), "stroke-width": 2.6, "stroke-dasharray": dash(arm) }, root);
      for (const [step, share] of censored) {
        const cx = time.at(step);
        svg("line", { x1: cx, x2: cx, y1: y(share) - 6, y2: y(share) + 6, stroke: colour(arm),
          "stroke-width": 2.2 }, root);
      }
      const line = html("li", {}, notes);
      armName(arm, line);
      const at = failed ? `, the first at optimiser step ${drops[0][0]}` : "";
      line.append(` ${failed} of ${runs} run${runs === 1 ? "" : "s"} diverged${at}`);
    }
  };
  watch(figure, draw);
};
