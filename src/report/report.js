// Draws the report's charts and its trajectory player from the data embedded in the page.
// Nothing is fetched; nothing but the page is touched.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLOURS = 6;
  const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
  const colour = (arm) => `var(--arm${arm % COLOURS})`;
  const dash = (arm) => DASHES[arm % DASHES.length];
  const hidden = new Set();
  const redraws = [];
  const redraw = () => redraws.forEach((draw) => draw());

  // ---- Small tools -------------------------------------------------------------------------

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

  // ---- Legend ------------------------------------------------------------------------------

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

  // ---- Line charts -------------------------------------------------------------------------

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

  // ---- Success of every seed ---------------------------------------------------------------

  const dotChart = (dots, success) => {
    const caption = html("figcaption", {}, dots);
    html("b", {}, caption, "success over held-out episodes");
    caption.append("each dot is a run, the line its arm's interquartile mean, the bar its 95 % interval " +
      "where there are at least five runs");
    const plot = html("div", { class: "plot" }, dots);
    const draw = () => {
      plot.replaceChildren();
      const width = Math.max(plot.clientWidth, 200);
      const narrow = width < 480;
      const [left, right, row] = [narrow ? 12 : 130, 24, narrow ? 56 : 44];
      const height = success.length * row + 24;
      const every = success.flatMap(({ interval, runs }) =>
        [...(interval ? [interval[0]] : []), ...runs.map(([, value]) => value)]);
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
        name.textContent = data.arms[arm];
        if (interval) {
          const [from, to] = interval.map(x);
          svg("line", { x1: from, x2: to, y1: y, y2: y, stroke: colour(arm),
            "stroke-width": 10, opacity: 0.28, "stroke-linecap": "round" }, root);
        }
        if (middle !== null) {
          svg("line", { x1: x(middle), x2: x(middle), y1: y - 11, y2: y + 11,
            stroke: colour(arm), "stroke-width": 3 }, root);
        }
        runs.forEach(([seed, value], i) => {
          const dot = svg("circle", { cx: x(value), cy: y + ((i % 3) - 1) * 6, r: 4.2,
            fill: colour(arm), stroke: "var(--card)", "stroke-width": 1 }, root);
          svg("title", {}, dot).textContent = `seed ${seed}: ${percent(value)}`;
        });
      });
    };
    watch(dots, draw);
  };

  // ---- Trajectories ------------------------------------------------------------------------

  const GLYPHS = { goal: "✓", collision_static: "✕", collision_mover: "✕", out_of_bounds: "✕",
    time_limit: "…", non_finite: "!" };
  const WORDS = { goal: "goal", collision_static: "collision", collision_mover: "hit a mover",
    out_of_bounds: "out of bounds", time_limit: "time limit", non_finite: "not finite" };

  // Sums up differences and scales hundredths back: rows of `size` numbers.
  const rows = (flat, size) => {
    const found = [];
    const sum = new Array(size).fill(0);
    for (let i = 0; i < flat.length; i += size) {
      for (let k = 0; k < size; k++) sum[k] += flat[i + k];
      found.push(sum.map((value) => value / 100));
    }
    return found;
  };
  // The row at a time in steps, straight between two.
  const between = (list, at) => {
    const i = Math.min(Math.floor(at), list.length - 1);
    const next = list[Math.min(i + 1, list.length - 1)];
    const share = Math.min(at, list.length - 1) - i;
    return list[i].map((value, k) => value + (next[k] - value) * share);
  };

  const trajectories = (player, episodes) => {
    for (const episode of episodes) {
      episode.movers = episode.movers.map((flat) => rows(flat, 2));
      for (const track of episode.tracks) track.poses = rows(track.poses, 3);
    }
    const seeds = [...new Set(episodes.flatMap((e) => e.tracks.map((t) => t.seed)))];
    const state = { episode: 0, seed: seeds[0], step: 0, playing: false, speed: 2 };
    const tracksOf = (episode) => episode.tracks.filter((t) => t.seed === state.seed);
    const differs = (episode) =>
      new Set(tracksOf(episode).map((t) => t.outcome === "goal")).size > 1;
    state.episode = Math.max(0, episodes.findIndex(differs));

    const stage = html("figure", { class: "map" }, player);
    const map = svg("svg", { role: "img" }, stage);
    const controls = html("div", { class: "controls" }, stage);
    const play = html("button", { class: "play", type: "button" }, controls);
    const slider = html("input", { type: "range", min: 0, value: 0, step: "any",
      "aria-label": "time" }, controls);
    const clock = html("output", {}, controls);
    const side = html("div", { class: "side" }, player);

    const chooser = html("div", {}, side);
    html("h3", {}, chooser, "Episode");
    const list = html("div", { class: "episodes" }, chooser);
    const options = html("div", { class: "options" }, side);
    const choice = (title, values, text, chosen, change) => {
      const label = html("label", {}, options, title);
      const select = html("select", {}, label);
      values.forEach((value) => html("option", { value }, select, text(value)));
      select.value = chosen;
      select.addEventListener("change", () => change(select.value));
    };
    choice("Training seed", seeds, String, seeds[0], (value) => {
      state.seed = Number(value);
      restart();
    });
    choice("Speed", [1, 2, 4, 8], (v) => `${v} ×`, 2, (value) => { state.speed = Number(value); });
    const outcome = html("div", {}, side);
    html("h3", {}, outcome, "How it ended");
    const ends = html("ul", { class: "ends" }, outcome);

    let moving = [];
    const current = () => episodes[state.episode];
    const length = () =>
      Math.max(1, ...tracksOf(current()).map((t) => t.poses.length - 1));

    const icon = () => {
      play.setAttribute("aria-label", state.playing ? "pause" : "play");
      play.replaceChildren();
      const drawn = svg("svg", { width: 18, height: 18, viewBox: "0 0 18 18" }, play);
      svg("path", { fill: "currentColor",
        d: state.playing ? "M3 2h4v14H3zM11 2h4v14h-4z" : "M4 1.5v15l12-7.5z" }, drawn);
    };

    const shape = (parent, obstacle, unit) => {
      if (obstacle.disc) {
        const [cx, cy, r] = obstacle.disc;
        svg("circle", { class: "obstacle", cx, cy, r }, parent);
      } else if (obstacle.polygon.length === 2) {
        const [[x1, y1], [x2, y2]] = obstacle.polygon;
        svg("line", { x1, y1, x2, y2, stroke: "var(--wall)", "stroke-width": 4 * unit }, parent);
      } else {
        svg("polygon", { class: "obstacle", points: obstacle.polygon.join(" ") }, parent);
      }
    };

    // Draws the map; what moves is kept for `move`.
    const scene = () => {
      const episode = current();
      const [x0, y0, x1, y1] = episode.arena;
      const [wide, high] = [x1 - x0, y1 - y0];
      const unit = Math.max(wide, high) / 600;
      const edge = 6 * unit;
      set(map, { viewBox: `${x0 - edge} ${-y1 - edge} ${wide + 2 * edge} ${high + 2 * edge}`,
        "aria-label": `held-out episode ${episode.number}` });
      map.replaceChildren();
      const world = svg("g", { transform: "scale(1 -1)" }, map);
      svg("rect", { class: "arena", x: x0, y: y0, width: wide, height: high,
        "stroke-width": 4 * unit }, world);
      episode.obstacles.forEach((obstacle) => shape(world, obstacle, unit));
      for (const [cx, cy, r] of episode.decoys) {
        svg("circle", { class: "goal", cx, cy, r, "stroke-width": 2 * unit,
          "stroke-dasharray": `${5 * unit} ${5 * unit}`, opacity: 0.6 }, world);
      }
      const [gx, gy, gr] = episode.goal;
      svg("circle", { class: "goal", cx: gx, cy: gy, r: gr, "stroke-width": 2.5 * unit }, world);
      svg("circle", { class: "goal", cx: gx, cy: gy, r: gr / 3, "stroke-width": 2.5 * unit },
        world);
      moving = episode.movers.map((poses, i) => ({ poses, body: svg("circle",
        { class: "mover", r: episode.mover_radii[i] }, world) }));
      for (const track of tracksOf(episode)) {
        if (hidden.has(track.arm)) continue;
        const points = track.poses.map(([px, py]) => `${px},${py}`);
        const look = { fill: "none", stroke: colour(track.arm), "stroke-linejoin": "round" };
        svg("polyline", { ...look, points: points.join(" "), "stroke-width": 2 * unit,
          opacity: 0.3 }, world);
        const trail = svg("polyline", { ...look, "stroke-width": 4 * unit,
          "stroke-dasharray": dash(track.arm).split(" ").map((d) => d * 1.6 * unit || "").join(" ")
        }, world);
        const robot = svg("g", {}, world);
        svg("circle", { r: episode.radius, fill: colour(track.arm), "fill-opacity": 0.85,
          stroke: "var(--card)", "stroke-width": 1.5 * unit }, robot);
        svg("line", { x1: 0, y1: 0, x2: episode.radius * 0.86, y2: 0, stroke: "var(--card)",
          "stroke-width": 3.5 * unit }, robot);
        const r = episode.radius * 1.5;
        const cross = svg("path", { d: `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
          stroke: colour(track.arm), "stroke-width": 3 * unit, visibility: "hidden" }, world);
        moving.push({ poses: track.poses, points, trail, body: robot, cross,
          failed: track.outcome !== "goal" });
      }
      slider.max = length();
      move();
    };

    const move = () => {
      for (const thing of moving) {
        const [px, py, heading] = between(thing.poses, state.step);
        if (heading === undefined) {
          set(thing.body, { cx: px, cy: py });
          continue;
        }
        const turn = (heading * 180) / Math.PI;
        thing.body.setAttribute("transform", `translate(${px} ${py}) rotate(${turn})`);
        const past = thing.points.slice(0, Math.floor(state.step) + 1);
        if (state.step < thing.points.length - 1) past.push(`${px},${py}`);
        thing.trail.setAttribute("points", past.join(" "));
        const over = thing.failed && state.step >= thing.poses.length - 1;
        set(thing.cross, { visibility: over ? "visible" : "hidden",
          transform: `translate(${px} ${py})` });
      }
      slider.value = state.step;
      clock.textContent = `${(state.step * current().dt).toFixed(1)} s`;
    };

    const panel = () => {
      list.replaceChildren();
      episodes.forEach((episode, index) => {
        const tracks = tracksOf(episode);
        const words = tracks.map((t) => `${data.arms[t.arm]}: ${WORDS[t.outcome]}`).join(", ");
        const button = html("button", { type: "button", "aria-pressed":
          String(index === state.episode), title: words,
          "aria-label": `episode ${index + 1}; ${words}` }, list);
        html("small", {}, button, String(index + 1));
        const glyphs = html("span", {}, button);
        tracks.forEach((t) => html("b", { class: `arm${t.arm % COLOURS}` }, glyphs,
          GLYPHS[t.outcome]));
        button.addEventListener("click", () => { state.episode = index; restart(); });
      });
      ends.replaceChildren();
      for (const track of tracksOf(current())) {
        const line = html("li", {}, ends);
        html("span", { class: `arm arm${track.arm % COLOURS}` }, line, data.arms[track.arm]);
        const secs = ((track.poses.length - 1) * current().dt).toFixed(1);
        html("span", {}, line, `${GLYPHS[track.outcome]} ${WORDS[track.outcome]} at ${secs} s`);
        if (track.note) html("small", {}, line, ` (${track.note})`);
      }
    };

    let before = null;
    const frame = (now) => {
      if (!state.playing) { before = null; return; }
      if (before !== null) {
        state.step += ((now - before) / 1000) * state.speed / current().dt;
      }
      before = now;
      if (state.step >= length()) {
        state.step = length();
        state.playing = false;
        icon();
      }
      move();
      requestAnimationFrame(frame);
    };
    const start = (playing) => {
      state.playing = playing;
      if (playing && state.step >= length()) state.step = 0;
      before = null;
      icon();
      if (playing) requestAnimationFrame(frame);
    };
    // A page that is not played still shows where everyone ended.
    const restart = () => {
      state.step = state.playing ? 0 : length();
      panel();
      scene();
    };
    play.addEventListener("click", () => start(!state.playing));
    slider.addEventListener("input", () => {
      if (state.playing) start(false);
      state.step = Number(slider.value);
      move();
    });
    redraws.push(scene);
    icon();
    restart();
  };

  // ---- Each scenario's part ----------------------------------------------------------------

  for (const part of document.querySelectorAll("[data-part]")) {
    const { success, charts, episodes } = data.parts[Number(part.dataset.part)];
    for (const dots of part.querySelectorAll(".dots")) dotChart(dots, success);
    for (const figure of part.querySelectorAll("[data-chart]")) {
      lineChart(figure, charts[Number(figure.dataset.chart)]);
    }
    for (const player of part.querySelectorAll(".player")) trajectories(player, episodes);
  }

  // Printing has its own widths.
  addEventListener("beforeprint", redraw);
})();
