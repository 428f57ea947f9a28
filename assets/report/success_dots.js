// Success of every run, one row for each arm.

const dotChart = (dots, success) => {
  const caption = html("figcaption", {}, dots);
  html("b", {}, caption, "success over held-out episodes");
  caption.append("each dot is the best checkpoint of a run, the ring joined to it the last one; the line is " +
    "the interquartile mean of the best, the bar its 95 % confidence interval where there are at least " +
    "five runs");
  const longest = Math.max(...success.map(({ arm }) => shorten(data.arms[arm]).length));
  const room = (width) => Math.min(Math.max(130, 24 + longest * 8.6), width * 0.45);
  const plot = html("div", { class: "plot" }, dots);
  const draw = () => {
    plot.replaceChildren();
    const width = Math.max(plot.clientWidth, 200);
    const narrow = width < 480;
    const [left, right, row] = [narrow ? 12 : room(width), 24, narrow ? 56 : 44];
    const height = success.length * row + 24;
    const every = success.flatMap(({ interval, runs }) =>
      [...(interval ? [interval[0]] : []), ...runs.flatMap(([, best, last]) => (last === null ? [best] : [best, last]))]);
    const least = Math.min(1, ...every);
    const low = least > 0.8 ? 0.8 : least > 0.5 ? 0.5 : 0;
    const x = (share) => left + ((share - low) / (1 - low)) * (width - left - right);
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": "success of every run over held-out episodes" }, plot);
    for (const tick of ticks(low, 1, narrow ? 4 : 5)) {
      svg("line", { class: "gridline", x1: x(tick), x2: x(tick), y1: 0, y2: height - 22 }, root);
      svg("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, root).textContent =
        percent(tick);
    }
    success.forEach(({ arm, middle, interval, runs }, index) => {
      const y = index * row + (narrow ? 36 : 22);
      const name = svg("text", { class: "label", x: narrow ? left : left - 14,
        y: narrow ? y - 17 : y + 4, "text-anchor": narrow ? "start" : "end",
        style: `fill:${colour(arm)};font-size:14px;font-weight:620` }, root);
      name.textContent = shorten(data.arms[arm],
        narrow ? 30 : Math.max(8, Math.floor((left - 24) / 8.6)));
      svg("title", {}, name).textContent = data.arms[arm];
      if (interval) {
        const [from, to] = interval.map(x);
        svg("line", { x1: from, x2: to, y1: y, y2: y, stroke: colour(arm),
          "stroke-width": 10, opacity: 0.28, "stroke-linecap": "round" }, root);
      }
      if (middle !== null) {
        svg("line", { x1: x(middle), x2: x(middle), y1: y - 11, y2: y + 11,
          stroke: colour(arm), "stroke-width": 3 }, root);
      }
      runs.forEach(([seed, best, last], i) => {
        const at = y + ((i % 3) - 1) * 6;
        const words = [`best ${percent(best)}`];
        const mark = svg("g", {}, root);
        if (last !== null) {
          words.push(`last ${percent(last)}`);
          svg("line", { x1: x(best), x2: x(last), y1: at, y2: at, stroke: colour(arm),
            "stroke-width": 1.2, opacity: 0.6 }, mark);
          svg("circle", { cx: x(last), cy: at, r: 3.6, fill: "var(--card)",
            stroke: colour(arm), "stroke-width": 1.6 }, mark);
        }
        svg("circle", { cx: x(best), cy: at, r: 4.2,
          fill: colour(arm), stroke: "var(--card)", "stroke-width": 1 }, mark);
        svg("title", {}, mark).textContent = `seed ${seed}: ${words.join(", ")}`;
      });
    });
  };
  watch(dots, draw);
};
