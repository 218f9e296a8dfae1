"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const space = document.getElementById("svg").namespaceURI;
const HEIGHT = 196, LEFT = 44, RIGHT = 14, TOP = 8, BOTTOM = 24;
const MANY = 60; // points from which a curve is drawn smooth, over what it was

// Text from the run's files only ever becomes text, never markup.
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "text"].includes(name);
  const node = svg ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const byId = (id) => document.getElementById(id);
const known = (values) => values.filter((value) => value !== null);
const last = (values) => (values.length ? values[values.length - 1] : null);

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  if (size < 0.001) return value.toExponential(1);
  return size >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const kimg = (value) => `${+value.toFixed(3)} kimg`;

// ---- Where the run is.

function showStatus() {
  const { total, used, left, device, memory } = data;
  const done = total !== null && data.kimg >= total;
  byId("title").textContent = data.title;
  const share = total ? Math.min(data.kimg / total, 1) : 0;
  byId("bar").setAttribute("aria-valuenow", Math.round(share * 100));
  byId("bar").firstElementChild.style.width = `${share * 100}%`;
  const facts = [
    ["Pictures shown", total === null ? kimg(data.kimg) : `${+data.kimg.toFixed(3)} of ${kimg(total)}`],
    ["Time used", used],
    ["Time left", done ? "none" : left && `about ${left}`],
    ["Device", device],
    ["Memory, at most", memory && `${shown(memory)} MB`],
    ["Written", new Date(data.written * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  ];
  for (const [name, value] of facts) {
    if (value) byId("facts").append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  }
  const skipped = data.skipped ? ` ${data.skipped} pictures could not be read; log.jsonl names them.` : "";
  byId("footer").textContent = `Every face on this page was drawn by the program: these people do not exist.${skipped}`;
}

// ---- Faces.

function showFaces() {
  const slider = byId("slider"), grids = data.grids;
  if (!grids.length) {
    byId("figure").replaceWith(make("p", { class: "empty" }, "No snapshot yet."));
    return;
  }
  const show = () => {
    const grid = grids[slider.value];
    byId("grid").src = grid.source;
    byId("grid").alt = `Faces drawn after ${kimg(grid.kimg)}`;
    byId("when").textContent = kimg(grid.kimg);
    slider.setAttribute("aria-valuetext", `after ${kimg(grid.kimg)}`);
  };
  slider.max = grids.length - 1;
  slider.value = grids.length - 1;
  slider.disabled = grids.length < 2;
  slider.addEventListener("input", show);
  show();
}

// ---- Figures beside the faces.

function table(caption, heads, rows) {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => (cell instanceof Node ? cell : make(tag, {}, cell))));
  const node = make("table", {}, make("caption", {}, caption));
  if (heads) node.append(make("thead", {}, line(heads, "th")));
  node.append(make("tbody", {}, ...rows.map((row) => line(row, "td"))));
  return node;
}

function best(metric) {
  if (!metric.better) return null;
  const values = known(metric.values);
  const value = metric.better === "lower" ? Math.min(...values) : Math.max(...values);
  return values.length ? metric.values.indexOf(value) : null;
}

function showQuality() {
  if (!data.metrics.length) return;
  const directed = data.metrics.some((metric) => metric.better);
  const rows = data.metrics.map((metric) => {
    const at = best(metric), now = last(known(metric.values));
    const cell = make("td", {}, at === null ? "–" : shown(metric.values[at]));
    if (at !== null) cell.append(" ", make("small", {}, `at ${+metric.kimg[at].toFixed(3)}`));
    const row = [metric.label, shown(now), cell, shown(metric.floor)];
    return directed ? row : row.filter((_, i) => i !== 2);
  });
  const heads = ["", "now", "best, at kimg", "floor"];
  byId("quality").append(
    table("Quality", directed ? heads : heads.filter((_, i) => i !== 2), rows),
    make("p", { class: "hint", style: "margin-top:.6rem" }, "Floor: what real faces score against other real faces."),
  );
}

function showLatest() {
  const rows = CHARTS.flatMap((chart) => chart.series.map((series) => {
    const key = make("span", { class: `key ${series.colour}` });
    return [make("td", {}, key, series.long), shown(last(known(series.values)))];
  }));
  if (data.curves.kimg.length) byId("latest").append(table("Latest figures", null, rows));
}

function showEvents() {
  if (!data.events.length) return;
  const items = data.events.map((event) => make("li", {}, make("b", {}, event.name), ` at ${kimg(event.kimg)} `,
    make("span", {}, event.facts)));
  byId("events").append(make("h2", {}, "What happened"), make("ul", { class: "events" }, ...items));
}

// ---- Curves.

const curve = (key) => data.curves[key];
const CHARTS = [
  {
    title: "Losses", x: curve("kimg"), series: [
      { name: "discriminator", long: "Discriminator's loss", colour: "first", values: curve("loss_d") },
      { name: "generator", long: "Generator's loss", colour: "second", values: curve("loss_g") },
    ],
  },
  {
    title: "Discriminator's mean output", x: curve("kimg"), range: [0, 1], series: [
      { name: "real faces", long: "Discriminator on real faces", colour: "first", values: curve("d_real") },
      { name: "drawn faces", long: "Discriminator on drawn faces", colour: "second", values: curve("d_fake") },
    ],
  },
  {
    title: "Adaptive augmentation", x: curve("kimg"), series: [
      { name: "probability", long: "Probability of augmentation", colour: "first", values: curve("augment_p") },
      { name: "sign on real faces", long: "Discriminator's sign on real faces", colour: "second", values: curve("real_sign") },
    ],
  },
  {
    title: "Speed", x: curve("kimg"), fromZero: true, series: [
      { name: "images/s", long: "Pictures a second", colour: "third", values: curve("images_per_second") },
    ],
  },
].filter((chart) => chart.title !== "Adaptive augmentation" || known(chart.series[0].values).length);

const metricChart = (metric) => ({
  title: metric.label, aim: metric.better && `${metric.better} is better`, x: metric.kimg, floor: metric.floor,
  series: [{ name: "drawn faces", colour: "first", values: metric.values }],
});

function smoothed(values) {
  const reach = Math.max(2, Math.round(values.length / 50));
  return values.map((value, i) => {
    const near = known(values.slice(Math.max(0, i - reach), i + reach + 1));
    return value === null ? null : near.reduce((a, b) => a + b, 0) / near.length;
  });
}

// The range of y: all values, but of many only what is not an outlier.
function extent(chart) {
  if (chart.range) return chart.range;
  const all = known(chart.series.flatMap((series) => series.values)).sort((a, b) => a - b);
  const cut = all.length > 200 ? Math.floor(all.length * 0.005) : 0;
  let [low, high] = all.length ? [all[cut], all[all.length - 1 - cut]] : [0, 1];
  if (chart.floor !== null && chart.floor !== undefined) [low, high] = [Math.min(low, chart.floor), Math.max(high, chart.floor)];
  if (chart.fromZero) low = 0;
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [chart.fromZero || (low >= 0 && low - room < 0) ? 0 : low - room, high + room];
}

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) values.push(i * step);
  return values.map((value) => [value, digits > 4 ? value.toExponential(0) : value.toFixed(digits)]);
}

// Lines through the points that are known; a point alone between gaps is a dot of no length.
function path(xs, ys) {
  let text = "", pen = false;
  ys.forEach((y, i) => {
    if (y !== null) text += `${pen ? "L" : "M"}${xs[i].toFixed(1)} ${y.toFixed(1)}${pen ? "" : "l0 0"}`;
    pen = y !== null;
  });
  return text;
}

function drawChart(chart) {
  const svg = make("svg", { role: "img", tabindex: 0 });
  const legend = make("div", { class: "legend", "aria-live": "polite" });
  const head = make("header", {}, make("h3", {}, chart.title));
  const note = make("span", { class: "note" });
  head.append(note);
  const card = make("div", { class: "chart" }, head, legend, svg);
  const end = Math.max(last(chart.x) ?? 0, data.kimg) || 1, [low, high] = extent(chart);
  let width = 0, at = null;

  const x = (value) => LEFT + (value / end) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (Math.min(Math.max(value, low), high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);

  function read() {
    legend.replaceChildren(...chart.series.map((series) => make("span", {}, make("span", { class: `key ${series.colour}` }),
      `${series.name} `, make("b", {}, shown(at === null ? last(known(series.values)) : series.values[at])))));
    if (chart.floor !== null && chart.floor !== undefined) {
      legend.append(make("span", {}, make("span", { class: "dash" }), "floor ", make("b", {}, shown(chart.floor))));
    }
    note.textContent = at === null ? chart.aim ?? "" : `at ${kimg(chart.x[at])}`;
  }

  function point() {
    svg.querySelectorAll(".cursor, .point").forEach((node) => node.remove());
    read();
    if (at === null) return;
    const place = x(chart.x[at]);
    svg.append(make("line", { class: "cursor", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }));
    for (const series of chart.series) {
      if (series.values[at] === null) continue;
      svg.append(make("circle", { class: `point ${series.colour}`, cx: place, cy: y(series.values[at]), r: 4.5 }));
    }
  }

  function frame() {
    for (const [value, text] of ticks(low, high, 4)) {
      svg.append(make("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
        make("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, text));
    }
    for (const [value, text] of ticks(0, end, Math.max(2, Math.floor(width / 80)))) {
      svg.append(make("text", { x: x(value), y: HEIGHT - 6, "text-anchor": "middle" }, text));
    }
    for (const event of data.events) {
      if (event.kimg > end) continue;
      svg.append(make("line", { class: "event", x1: x(event.kimg), x2: x(event.kimg), y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    if (chart.floor !== null && chart.floor !== undefined) {
      svg.append(make("line", { class: "floor", x1: LEFT, x2: width - RIGHT, y1: y(chart.floor), y2: y(chart.floor) }));
    }
  }

  function draw() {
    width = Math.max(svg.parentNode.clientWidth - 32, 220);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren();
    frame();
    const xs = chart.x.map(x);
    for (const series of chart.series) {
      const line = (values, kind) => svg.append(make("path", { class: `${series.colour} ${kind}`,
        d: path(xs, values.map((value) => (value === null ? null : y(value)))) }));
      if (chart.x.length > MANY) line(series.values, "raw");
      line(chart.x.length > MANY ? smoothed(series.values) : series.values, "");
      if (chart.x.length > MANY / 2) continue;
      series.values.forEach((value, i) => {
        if (value !== null) svg.append(make("circle", { class: series.colour, cx: xs[i], cy: y(value), r: 3.2 }));
      });
    }
    point();
  }

  function move(index) {
    at = index === null || !chart.x.length ? null : Math.min(Math.max(index, 0), chart.x.length - 1);
    point();
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), place = ((event.clientX - box.left) / box.width) * width;
    let nearest = 0;
    chart.x.forEach((value, i) => {
      if (Math.abs(x(value) - place) < Math.abs(x(chart.x[nearest]) - place)) nearest = i;
    });
    move(nearest);
  });
  svg.addEventListener("pointerleave", () => move(null));
  svg.addEventListener("blur", () => move(null));
  svg.addEventListener("keydown", (event) => {
    const jump = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 }[event.key];
    if (!jump) return;
    event.preventDefault();
    move((at ?? chart.x.length - 1) + jump);
  });

  const values = chart.series.map((series) => `${series.name} ${shown(last(known(series.values)))}`).join(", ");
  svg.setAttribute("aria-label", `${chart.title} up to ${kimg(end)}; last: ${values}`);
  byId("charts").append(card);
  new ResizeObserver(() => width !== Math.max(card.clientWidth - 32, 220) && draw()).observe(card);
  draw();
}

function showCurves() {
  if (!data.curves.kimg.length && !data.metrics.length) {
    byId("charts").replaceWith(make("p", { class: "empty" }, "No figures yet: the first come after a thousand pictures."));
    return;
  }
  if (data.curves.kimg.length) CHARTS.forEach(drawChart);
  data.metrics.map(metricChart).forEach(drawChart);
}

// ---- Options.

function showOptions() {
  byId("options").append(...data.options.map((group) => table(group.title, null,
    group.rows.map(([name, value]) => [make("th", { scope: "row" }, name), value]))));
  if (!data.options.length) byId("options").append(make("p", { class: "empty" }, "options.json is missing or damaged."));
}

showStatus();
showFaces();
showQuality();
showLatest();
showEvents();
showCurves();
showOptions();
