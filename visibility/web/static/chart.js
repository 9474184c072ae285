// Draws the charts of a page with uPlot, from what is in their data-chart.
"use strict";

const charts = (() => {
  const drawn = new Map(); // figure -> { plot, data }
  const colour = (name) => getComputedStyle(probe(name)).color;
  function probe(name) {
    const el = document.createElement("i");
    el.style.color = `var(--${name})`;
    document.body.append(el);
    queueMicrotask(() => el.remove());
    return el;
  }

  const when = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  function figure(v, kind) {
    if (v == null) return "–";
    if (kind === "ms") return v < 1000 ? `${Math.round(v * 10) / 10} ms` : `${Math.round(v / 100) / 10} s`;
    return v.toLocaleString("en", { maximumFractionDigits: 2 });
  }
  function tick(v, kind) {
    if (kind === "ms") return v >= 1000 ? `${v / 1000} s` : `${v} ms`;
    if (v >= 1e6) return `${v / 1e6} M`;
    return v >= 1e4 ? `${v / 1000} k` : `${v}`;
  }

  // Stacked series are drawn as sums, the tallest first.
  function values(c) {
    if (!c.Stacked) return [c.Times, ...c.Series.map((s) => s.Values)];
    const sums = [];
    let below = c.Times.map(() => 0);
    for (const s of c.Series) {
      below = s.Values.map((v, i) => v + below[i]);
      sums.unshift(below);
    }
    return [c.Times, ...sums];
  }

  // Bars of a stack, each from the sum below it to its own, on whole pixels.
  function bars(u, series, from, to) {
    const fill = new Path2D(), times = u.data[0], top = u.data[series], below = u.data[series + 1];
    const step = times.length > 1 ? times[1] - times[0] : 60;
    const at = (v, scale) => Math.round(u.valToPos(v, scale, true));
    for (let i = from; i <= to; i++) {
      const x = at(times[i], "x"), wide = at(times[i] + step, "x") - x;
      const y = at(top[i], "y"), high = at(below ? below[i] : 0, "y") - y;
      if (high > 0) fill.rect(x, y, Math.max(1, wide - Math.max(1, Math.round(wide * 0.16))), high);
    }
    return { fill, stroke: null, flags: 1 };
  }

  function options(c, el, width) {
    const line = colour("line"), muted = colour("muted");
    const series = c.Stacked ? [...c.Series].reverse() : c.Series;
    const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      width, height: el.clientHeight,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: !c.Stacked, size: 7 }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => [c.From, c.To] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, size: 26, space: 70, values: (_, ts, __, ___, step) => ts.map((t) => {
          const d = new Date(t * 1000);
          return step >= 86400 ? d.toLocaleDateString(undefined, { day: "numeric", month: "short" })
            : d.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
        }) },
        { ...axis, size: 46, space: 36, gap: 6, values: (_, vs) => vs.map((v) => tick(v, c.Kind)) },
      ],
      series: [{}, ...series.map((s) => c.Stacked
        ? { label: s.Name, fill: colour(s.Class), width: 0, paths: bars, points: { show: false } }
        : { label: s.Name, stroke: colour(s.Class), width: 1.6, spanGaps: false, points: { show: false } })],
      hooks: { setCursor: [(u) => readout(el.closest("figure"), c, u.cursor.idx)] },
    };
  }

  function readout(fig, c, i) {
    const out = fig.querySelector(".readout");
    out.textContent = i == null ? "" : [when.format(new Date(c.Times[i] * 1000)),
      ...c.Series.map((s) => `${s.Name} ${figure(s.Values[i], c.Kind)}`)].join(" · ");
  }

  function table(fig, c) {
    const t = document.createElement("table");
    const row = (cells, tag) => {
      const tr = document.createElement("tr");
      for (const text of cells) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        tr.append(cell);
      }
      return tr;
    };
    t.createTHead().append(row(["Time", ...c.Series.map((s) => s.Name)], "th"));
    const body = t.createTBody();
    c.Times.forEach((at, i) => body.append(row([when.format(new Date(at * 1000)), ...c.Series.map((s) => figure(s.Values[i], c.Kind))], "td")));
    fig.querySelector("[data-table]").replaceChildren(t);
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const d = drawn.get(target.closest("figure"));
      if (d && target.clientWidth > 0 && d.plot.width !== target.clientWidth) d.plot.setSize({ width: target.clientWidth, height: target.clientHeight });
    }
  });

  function draw() {
    for (const [fig, d] of drawn) if (!fig.isConnected) { d.plot.destroy(); drawn.delete(fig); }
    for (const fig of document.querySelectorAll("figure[data-chart]")) {
      const text = fig.dataset.chart, known = drawn.get(fig);
      if (known && known.text === text) continue;
      const c = JSON.parse(text), el = fig.querySelector("[data-canvas]");
      if (known && known.shape === c.Series.length) {
        Object.assign(known.c, c);
        known.text = text;
        known.plot.setData(values(c));
      } else {
        known?.plot.destroy();
        el.replaceChildren();
        drawn.set(fig, { c, text, shape: c.Series.length, plot: new uPlot(options(c, el, el.clientWidth), values(c), el) });
        sizes.observe(el);
        fig.querySelector("details").addEventListener("toggle", (e) => { if (e.target.open) table(fig, c); });
      }
      if (fig.querySelector("details").open) table(fig, c);
    }
  }

  function redraw() {
    for (const d of drawn.values()) d.plot.destroy();
    for (const fig of drawn.keys()) fig.querySelector("[data-canvas]").replaceChildren();
    drawn.clear();
    draw();
  }

  return { draw, redraw };
})();
