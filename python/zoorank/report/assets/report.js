// Sorting, filtering, charts and colours of report.html.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { columns, labels, key, higher, costs, closeups } = data;
  const indices = columns.model.map((_, i) => i);
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const LIMIT = 100; // rows drawn before "Show all"

  // What needs no script is there already; what does is shown now.
  for (const element of all("#theme, #filters, .controls, .tabs, [data-copy]")) element.hidden = false;
  for (const button of all("thead button")) button.disabled = false;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function number(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size >= 1000) return value.toLocaleString("en", { maximumSignificantDigits: 4 });
    return size >= 10 ? value.toFixed(1) : value.toFixed(3);
  }

  const cost = (name, value) => (value === null || value < 0 ? "–" : value >= 1000 ? prefixed(value) : number(value)) + (costs[name].unit === "bytes" && value ? "B" : "");

  function prefixed(value) {
    const power = Math.min(Math.floor(Math.log10(Number(value.toPrecision(3))) / 3), 4);
    return (value / 1000 ** power).toPrecision(3) + ["", "k", "M", "G", "T"][power];
  }

  // The table -----------------------------------------------------------------------------

  const rows = all("#table tbody tr");
  const texts = indices.map((i) =>
    [columns.name[i], columns.model[i], columns.cut[i], columns.note[i]].join("\n").toLowerCase());
  let shown = indices;
  let expanded = false;

  function firstOfEachSource() {
    const seen = new Set();
    return new Set(indices.filter((i) => !seen.has(columns.model[i]) && seen.add(columns.model[i])));
  }
  const bestOfSource = firstOfEachSource();

  function filterRows() {
    const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const bestOnly = byId("best-only").checked;
    shown = indices.filter((i) =>
      (!bestOnly || bestOfSource.has(i)) && words.every((word) => texts[i].includes(word)));
    drawRows();
    byId("count").textContent =
      shown.length === indices.length ? "" : `${shown.length} of ${indices.length} shown`;
    redraw("depth", "cost");
  }

  function drawRows() {
    const visible = new Set(shown);
    let left = expanded ? Infinity : LIMIT;
    for (const i of order) rows[i].hidden = !(visible.has(i) && left-- > 0);
    byId("table").dataset.ready = "";
    const more = byId("more");
    more.parentElement.hidden = expanded || shown.length <= LIMIT;
    more.textContent = `Show all ${shown.length}`;
  }

  let order = [...indices];
  function sortBy(heading) {
    const values = columns[heading.dataset.column];
    const now = heading.getAttribute("aria-sort");
    const descending = now ? now === "ascending" : "descends" in heading.dataset;
    const words = typeof values.find((value) => value !== null) === "string";
    const compare = words ? (a, b) => a.localeCompare(b, undefined, { numeric: true }) : (a, b) => a - b;
    const empty = (value) => value === null || value === "";
    // What has no value comes last in both directions.
    order = [...indices].sort((i, j) => {
      const [a, b] = [values[i], values[j]];
      if (empty(a) || empty(b)) return empty(a) - empty(b) || i - j;
      return (descending ? -1 : 1) * compare(a, b) || i - j;
    });
    for (const each of all("#table th[aria-sort]")) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    byId("table").tBodies[0].append(...order.map((i) => rows[i]));
    drawRows();
  }

  for (const heading of all("#table th[data-column]")) {
    heading.firstElementChild.addEventListener("click", () => sortBy(heading));
  }
  let waiting = 0;
  byId("find").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filterRows, 120);
  });
  byId("best-only").addEventListener("change", filterRows);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    expanded = true;
    drawRows();
  });
  drawRows();

  // The tip of whatever the pointer or the keyboard is at -----------------------------------

  const tip = byId("tip");
  function showTip(datum, x, y) {
    tip.replaceChildren(...described(datum));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  }
  function hideTip() {
    tip.hidden = true;
  }

  function described(datum) {
    if ("one" in datum) return [element("strong", datum.label)];
    if ("row" in datum) return describedSample(datum);
    const list = element("dl");
    const facts = [
      [labels[datum.key], number(datum.score)],
      ...Object.keys(costs).map((name) => [costs[name].name, cost(name, columns[name][datum.i])]),
      ["rank", columns.rank[datum.i] ?? "–"],
    ];
    for (const [name, value] of facts) list.append(element("dt", name), element("dd", value));
    return [element("strong", datum.model), element("span", datum.cut, "cut"), list];
  }

  function describedSample(datum) {
    const parts = [];
    const preview = closeups.previews[datum.place];
    if (preview?.kind === "image") {
      const image = element("img");
      image.src = preview.content;
      image.alt = "";
      image.className = preview.content.startsWith("data:image/png") ? "tiny" : "";
      parts.push(image);
    } else if (preview?.kind === "series") {
      parts.push(drawnSeries(preview.content));
    }
    parts.push(element("strong", datum.class));
    if (preview?.kind === "text") parts.push(element("div", preview.content));
    const list = element("dl");
    list.append(element("dt", "silhouette"), element("dd", number(datum.silhouette)));
    list.append(element("dt", "sample"), element("dd", String(datum.row)));
    parts.push(list);
    return parts;
  }

  function drawnSeries(values) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${Math.max(1, values.length - 1)} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    const line = document.createElementNS(space, "polyline");
    line.setAttribute("points", values.map((value, x) => `${x},${100 - value}`).join(" "));
    svg.append(line);
    return svg;
  }

  // What the charts show ----------------------------------------------------------------------

  const chosen = (id, otherwise) => byId(id)?.value ?? otherwise;

  function points(scoreKey) {
    const scores = columns[`score ${scoreKey}`];
    return shown
      .filter((i) => columns.status[i] === "ok" && scores[i] !== null)
      .map((i) => ({
        i,
        key: scoreKey,
        model: columns.model[i],
        cut: columns.cut[i] ?? "",
        score: scores[i],
        label: `${columns.model[i]}, ${columns.cut[i] ?? ""}: ${labels[scoreKey]} ${number(scores[i])}`,
      }));
  }

  function common(scoreKey) {
    const baseline = columns.status.indexOf("baseline");
    const reference = baseline < 0 ? null : columns[`score ${scoreKey}`][baseline];
    return { scoreTitle: labels[scoreKey], higher: higher[scoreKey], reference };
  }

  const better = (scoreKey) => (higher[scoreKey] ? (a, b) => b.score - a.score : (a, b) => a.score - b.score);

  function depthData(theme) {
    const scoreKey = chosen("depth-score", key);
    const values = points(scoreKey).filter(({ i }) => columns.depth[i] !== null);
    const named = [...new Set([...values].sort(better(scoreKey)).map(({ model }) => model))];
    const first = named.slice(0, Math.min(theme.palette.length, theme.narrow ? 6 : 8));
    const rest = named.length > first.length ? `${named.length - first.length} others` : null;
    for (const value of values) {
      const inFront = first.includes(value.model);
      value.depth = columns.depth[value.i];
      value.group = inFront ? value.model : rest;
      value.named = inFront;
    }
    values.sort((a, b) => a.named - b.named || a.model.localeCompare(b.model) || a.depth - b.depth);
    values.forEach((value, place) => {
      const next = values[place + 1];
      if (next?.model === value.model) [value.nextDepth, value.nextScore] = [next.depth, next.score];
    });
    return {
      ...common(scoreKey),
      values,
      groups: rest ? [...first, rest] : first,
      named: first.length,
      depthTitle: data.depthTitle,
      description: `${labels[scoreKey]} of ${values.length} cuts against their depth`,
    };
  }

  function costData() {
    const scoreKey = chosen("cost-score", key);
    const name = chosen("cost-choice", Object.keys(costs)[0]);
    const values = points(scoreKey).filter(({ i }) => columns[name][i] > 0);
    for (const value of values) value.cost = columns[name][value.i];
    const order = better(scoreKey);
    values.sort((a, b) => a.cost - b.cost || order(a, b));
    let best = null;
    for (const value of values) {
      value.front = best === null || order(value, best) < 0;
      if (value.front) best = value;
    }
    listFront(values.filter(({ front }) => front), name);
    return {
      ...common(scoreKey),
      values: [...values].sort((a, b) => a.front - b.front),
      costTitle: costs[name].meaning,
      description: `${labels[scoreKey]} of ${values.length} encodings against ${costs[name].meaning}`,
    };
  }

  function listFront(front, name) {
    byId("front").replaceChildren(
      ...front.map((value) => {
        const item = element("li");
        item.append(element("bdi", value.model));
        if (value.cut) item.append(", ", element("bdi", value.cut));
        item.append(`: ${number(value.score)}, ${costs[name].name} ${cost(name, value.cost)}`);
        return item;
      }));
  }

  const pick = () => closeups.picks[Number(document.querySelector("[name=pick]:checked")?.value ?? 0)];
  const sample = (place) => ({
    place,
    row: closeups.rows[place],
    class: closeups.classes[closeups.labels[place]],
    silhouette: pick().silhouettes[place],
  });

  // The same length for the same distance in both directions.
  function squareDomains(x, y, width, height) {
    const ends = [x, y].map((values) => [Math.min(...values), Math.max(...values)]);
    const unit = Math.max((ends[0][1] - ends[0][0]) / width, (ends[1][1] - ends[1][0]) / height) || 1;
    return ends.map(([low, high], axis) => {
      const half = (0.54 * unit * [width, height][axis]);
      return [(low + high) / 2 - half, (low + high) / 2 + half];
    });
  }

  function planeData(theme) {
    const { x, y, variance } = pick();
    byId("plane-text").textContent =
      `The first two principal components, which hold ${Math.round(100 * variance)}% of the variance: classes that overlap here may lie apart in other dimensions.`;
    const values = x.map((_, place) => {
      const value = sample(place);
      const label = `${value.class}, silhouette ${number(value.silhouette)}`;
      return { ...value, x: x[place], y: y[place], label };
    });
    const [across, up] = squareDomains(x, y, theme.width - 30, theme.narrow ? 250 : 350);
    const description = `${values.length} samples in two dimensions`;
    return { values, across, up, classes: closeups.classes, description };
  }

  function silhouetteData() {
    const { class_silhouettes: means } = pick();
    const places = closeups.rows.map((_, place) => sample(place));
    const gap = Math.max(1, places.length / 60);
    const values = [];
    const names = [];
    let top = 0;
    closeups.classes.forEach((name, code) => {
      const members = places.filter(({ place }) => closeups.labels[place] === code)
        .sort((a, b) => b.silhouette - a.silhouette);
      names.push({ class: name, middle: top + members.length / 2, mean: means[code] });
      for (const member of members) values.push({ ...member, top, bottom: ++top });
      top += gap;
    });
    const found = values.map(({ silhouette }) => silhouette);
    const [low, high] = [Math.min(0, ...found), Math.max(0, ...found)];
    const worst = [...names].sort((a, b) => a.mean - b.mean)[0];
    return {
      values,
      labels: names,
      classes: closeups.classes,
      height: top,
      mean: found.reduce((a, b) => a + b, 0) / found.length,
      domain: [low - 0.35 * (high - low), high + 0.02 * (high - low)],
      description: `Silhouettes of ${values.length} samples; the worst class is ${worst.class} with a mean of ${number(worst.mean)}`,
    };
  }

  function nearnessData() {
    const { nearness, order: side } = pick();
    const name = (code) => closeups.classes[code];
    const values = [];
    for (const one of side) {
      for (const other of side) {
        if (one === other || nearness[one][other] === null) continue;
        const label = `${name(one)} and ${name(other)}: ${number(nearness[one][other])} times as far apart as samples of one class`;
        values.push({ one: name(one), other: name(other), pair: `${one} ${other}`, nearness: nearness[one][other], label });
      }
    }
    const near = values.filter(({ one, other }) => one < other).sort((a, b) => a.nearness - b.nearness);
    byId("nearest").replaceChildren(
      ...near.slice(0, 10).map((each) => {
        const item = element("li");
        item.append(element("bdi", each.one), " and ", element("bdi", each.other), `: ${number(each.nearness)}`);
        return item;
      }));
    const far = Math.max(1.2, ...values.map((value) => value.nearness));
    return { values, order: side.map(name), far, description: "How near classes lie to each other" };
  }

  const makers = {
    depth: [specs.depth, depthData],
    cost: [specs.cost, costData],
    plane: [specs.plane, planeData],
    silhouettes: [specs.silhouettes, silhouetteData],
    nearness: [specs.nearness, nearnessData],
  };

  // Drawing -----------------------------------------------------------------------------------

  const probe = element("span");
  document.body.append(probe);
  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }
  function isDark() {
    const theme = document.documentElement.dataset.theme;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // Ten hues that differ in lightness too (after Okabe and Ito, 2008), for each background.
  const PALETTES = {
    light: ["#0a6c63", "#d1600a", "#3b5bdb", "#b3286b", "#7a5c00", "#0c8599", "#8a3ffc", "#5f6b12", "#a83232", "#1f4e79"],
    dark: ["#5fd3c1", "#ffa25c", "#8ea6ff", "#ff8ac0", "#e3c44d", "#6fd3ee", "#c9a2ff", "#bccb5a", "#ff9a94", "#9fc6f0"],
  };

  function themeFor(container) {
    const palette = PALETTES[isDark() ? "dark" : "light"];
    const named = {};
    for (const name of ["text", "muted", "line", "faint", "accent", "surface", "background"]) named[name] = colour(name);
    const count = closeups ? closeups.classes.length : 0;
    return {
      ...named,
      palette,
      classes: Array.from({ length: count }, (_, i) => palette[i % palette.length]),
      width: container.clientWidth,
      narrow: container.clientWidth < 480,
      font: getComputedStyle(document.body).fontFamily,
    };
  }

  const views = new Map();
  async function draw(container) {
    const [spec, collect] = makers[container.dataset.chart];
    const theme = themeFor(container);
    const before = views.get(container);
    const view = charts.view(spec(collect(theme), theme), { renderer: "svg", container, hover: true });
    views.set(container, view);
    before?.finalize();
    view.tooltip((_handler, event, _item, datum) => {
      if (datum === null || datum === "") hideTip();
      else showTip(datum, event.clientX, event.clientY);
    });
    await view.runAsync();
    if (views.get(container) !== view) return view.finalize();
    walkByKeyboard(container);
    container.dataset.drawn = "";
  }

  function redraw(...names) {
    for (const container of views.keys()) {
      if (!names.length || names.includes(container.dataset.chart)) draw(container);
    }
  }

  // Arrow keys go from mark to mark, as the pointer would.
  function walkByKeyboard(container) {
    const svg = container.querySelector("svg");
    const marks = all("path", svg).filter((path) => path.__data__?.tooltip);
    if (!marks.length) return;
    const item = (mark) => mark.__data__; // of Vega's scene
    marks.sort((a, b) => item(a).x - item(b).x || item(a).y - item(b).y);
    svg.setAttribute("tabindex", "0");
    let place = -1;
    function point(type, mark) {
      const { left, top, width, height } = mark.getBoundingClientRect();
      const where = { bubbles: true, clientX: left + width / 2, clientY: top + height / 2 };
      mark.dispatchEvent(new PointerEvent(type, where));
    }
    function leave() {
      if (marks[place]) point("pointerout", marks[place]);
      hideTip();
    }
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") leave();
      if (!step) return;
      event.preventDefault();
      leave();
      place = (place + step + marks.length) % marks.length;
      point("pointerover", marks[place]);
      point("pointermove", marks[place]);
    });
    svg.addEventListener("blur", leave);
  }

  // A chart is drawn when it comes near the window, so that a large report opens at once.
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "400px" });
  for (const container of all("[data-chart]")) watcher.observe(container);
  addEventListener("beforeprint", () => {
    for (const container of all("[data-chart]:not([data-drawn])")) draw(container);
  });

  const changes = { "depth-score": ["depth"], "cost-score": ["cost"], "cost-choice": ["cost"] };
  for (const [id, names] of Object.entries(changes)) byId(id)?.addEventListener("change", () => redraw(...names));
  for (const radio of all("[name=pick]")) {
    radio.addEventListener("change", () => redraw("plane", "silhouettes", "nearness"));
  }
  let width = innerWidth;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    // A phone's bars come and go with the height alone.
    if (innerWidth !== width) waiting = setTimeout(() => redraw(), 150);
    width = innerWidth;
  });
  addEventListener("scroll", hideTip, { passive: true });

  // Light and dark ------------------------------------------------------------------------------

  const button = byId("theme");
  function nameTheme() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  }
  function remembered(value) {
    try { // a page opened from a file may have no storage
      if (value) localStorage.setItem("zoorank theme", value);
      return localStorage.getItem("zoorank theme");
    } catch {
      return null;
    }
  }
  const before = remembered();
  if (before === "light" || before === "dark") document.documentElement.dataset.theme = before;
  nameTheme();
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    remembered(document.documentElement.dataset.theme);
    nameTheme();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    nameTheme();
    redraw();
  });

  for (const copy of all("[data-copy]")) {
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(byId(copy.dataset.copy).textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(byId(copy.dataset.copy));
        copy.textContent = "Selected";
      }
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }
})();
