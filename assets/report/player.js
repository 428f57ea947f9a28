// The trajectory player.

const GLYPHS = { goal: "✓", collision_static: "✕", collision_mover: "✕", out_of_bounds: "✕",
  time_limit: "…", non_finite: "!" };
const WORDS = { goal: "goal", collision_static: "hit an obstacle", collision_mover: "hit a mover",
  out_of_bounds: "out of bounds", time_limit: "time limit", non_finite: "not finite" };

// Seconds of an episode for which a preview shows its end before it plays again.
const PAUSE = 3;

// Decodes delta-coded hundredths into rows of `size` numbers.
const rows = (flat, size) => {
  const found = [];
  const sum = new Array(size).fill(0);
  for (let i = 0; i < flat.length; i += size) {
    for (let k = 0; k < size; k++) sum[k] += flat[i + k];
    found.push(sum.map((value) => value / 100));
  }
  return found;
};
// The row at a fractional step, interpolated linearly.
const between = (list, at) => {
  const i = Math.min(Math.floor(at), list.length - 1);
  const next = list[Math.min(i + 1, list.length - 1)];
  const share = Math.min(at, list.length - 1) - i;
  return list[i].map((value, k) => value + (next[k] - value) * share);
};

// Decodes the coordinates of episodes in place.
const decode = (episodes) => {
  for (const episode of episodes) {
    episode.movers = episode.movers.map((flat) => rows(flat, 2));
    for (const track of episode.trajectories) track.poses = rows(track.poses, 3);
  }
};

// A player with the class `preview` has no controls but play and time, and plays again and again
// unless the reader prefers reduced motion.
const trajectoryPlayer = (player, episodes) => {
  const preview = player.classList.contains("preview");
  const seeds = [...new Set(episodes.flatMap((e) => e.trajectories.map((t) => t.seed)))];
  const state = { episode: 0, seed: seeds[0], step: 0, playing: false, speed: 2 };
  const tracksOf = (episode) => episode.trajectories.filter((t) => t.seed === state.seed);
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
  const marks = html("ul", { class: "marks" }, stage);
  const side = html("div", { class: "side" }, player);

  const chooser = html("div", {}, side);
  html("h3", {}, chooser, "Episode");
  const list = html("div", { class: "episodes" }, chooser);
  const options = html("div", { class: "options" }, side);
  const choice = (title, values, text, selected, change) => {
    const label = html("label", {}, options, title);
    const select = html("select", {}, label);
    values.forEach((value) => html("option", { value }, select, text(value)));
    select.value = selected;
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

  // Draws the map and collects the moving bodies in `moving`, for `move`.
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
    for (const [cx, cy, r] of episode.alternative_goals) {
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
      const paint = { fill: colour(track.arm), "fill-opacity": 0.85, stroke: "var(--card)",
        "stroke-width": 1.5 * unit };
      if (episode.footprint.length) svg("polygon", { ...paint, points: episode.footprint.join(" ") }, robot);
      else svg("circle", { ...paint, r: episode.radius }, robot);
      svg("line", { x1: 0, y1: 0, x2: episode.radius * 0.86, y2: 0, stroke: "var(--card)",
        "stroke-width": 3.5 * unit }, robot);
      const r = episode.radius * 1.5;
      const cross = svg("path", { d: `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
        stroke: colour(track.arm), "stroke-width": 3 * unit, visibility: "hidden" }, world);
      moving.push({ poses: track.poses, points, trail, body: robot, cross,
        failed: track.outcome !== "goal" });
    }
    slider.max = length();
    explain(episode);
    move();
  };

  // The legend: what is drawn in this episode.
  const explain = (episode) => {
    marks.replaceChildren();
    const mark = (name, draw) => {
      const item = html("li", {}, marks);
      draw(svg("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18" }, item));
      item.append(name);
    };
    mark("goal", (at) => {
      svg("circle", { class: "goal", r: 7, "stroke-width": 1.6 }, at);
      svg("circle", { class: "goal", r: 2.4, "stroke-width": 1.6 }, at);
    });
    if (episode.alternative_goals.length) {
      mark("goal in other episodes", (at) => svg("circle", { class: "goal", r: 7,
        "stroke-width": 1.6, "stroke-dasharray": "3 3", opacity: 0.6 }, at));
    }
    if (episode.movers.length) {
      mark("mover", (at) => svg("circle", { class: "mover", r: 7 }, at));
    }
    const failed = tracksOf(episode).find((t) => !hidden.has(t.arm) && t.outcome !== "goal");
    if (failed) {
      mark("where it ended without reaching the goal", (at) => svg("path", {
        d: "M-5 -5L5 5M-5 5L5 -5", stroke: colour(failed.arm), "stroke-width": 2.4 }, at));
    }
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
    const step = Math.min(state.step, length());
    slider.value = step;
    clock.textContent = `${(step * current().dt).toFixed(1)} s`;
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
      armName(track.arm, line);
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
    if (state.step >= length() + (preview ? PAUSE / current().dt : 0)) {
      state.step = preview ? 0 : length();
      state.playing = preview;
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
  // While paused, show the end of the episode.
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
  if (preview && !matchMedia("(prefers-reduced-motion: reduce)").matches) start(true);
};
