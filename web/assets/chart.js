// Draws what web/plot.go laid out, which is in the page as JSON: the history of a
// setting with what is held of it, and the resource's metrics below, all on one
// axis of time. Colours are the page's own, so light and dark follow.
(() => {
  "use strict";
  const place = document.getElementById("plot");
  const source = document.getElementById("plot-data");
  if (!place || !source) return;
  const data = JSON.parse(source.textContent);
  const held = data.held || [], marks = data.marks || [], lanes = data.lanes || [], metrics = data.metrics || [];

  // A colour of the style sheet may be a pair for light and dark: only what a
  // browser makes of it can be drawn with.
  const probe = document.createElement("span");
  probe.hidden = true;
  place.append(probe);
  const colour = name => {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  };
  const sans = getComputedStyle(document.body).fontFamily;
  const font = "12px " + sans;
  const narrow = () => place.clientWidth < 560;
  const gutter = () => narrow() ? 78 : 128;
  const dpr = () => devicePixelRatio;

  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  // Days and times in UTC, the year and the day only where they change.
  function dates(u, splits, axis, space, step) {
    let before = "";
    return splits.map(v => {
      const t = new Date(v * 1000), iso = t.toISOString();
      const day = t.getUTCDate() + " " + months[t.getUTCMonth()], year = iso.slice(0, 4);
      const minor = step >= 86400 ? day : iso.slice(11, step < 60 ? 19 : 16);
      const major = step >= 86400 ? year : day;
      const label = major === before ? minor : minor + "\n" + major;
      before = major;
      return label;
    });
  }
  const at = v => new Date(v * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const round = v => v === null || v === undefined ? "no value" : String(Number(v.toPrecision(4)));
  const percent = p => p > 0.99 && p < 1 ? ">99 %" : p > 0 && p < 0.01 ? "<1 %" : Math.round(100 * p) + " %";

  // The time ahead lies in a shade of its own.
  function drawAhead(u) {
    const c = u.ctx, box = u.bbox, x = u.valToPos(data.now, "x", true);
    if (x >= box.left + box.width) return;
    c.save();
    c.globalAlpha = 0.5;
    c.fillStyle = colour("sunk");
    const left = Math.max(x, box.left);
    c.fillRect(left, box.top, box.left + box.width - left, box.height);
    c.restore();
  }

  // What is held lies under everything: of numbers a band, of other values lanes,
  // the stronger the likelier.
  function drawHeld(u) {
    const c = u.ctx, box = u.bbox;
    c.save();
    c.beginPath();
    c.rect(box.left, box.top, box.width, box.height);
    c.clip();
    c.fillStyle = colour("light");
    for (const h of held) {
      const room = data.numeric ? 0 : 0.38;
      const left = u.valToPos(h.from, "x", true), right = u.valToPos(h.to, "x", true);
      const top = u.valToPos(h.high + room, "y", true), bottom = u.valToPos(h.low - room, "y", true);
      c.globalAlpha = (h.ahead ? 0.28 : 0.4) * (data.numeric ? 1 : 0.2 + 0.8 * h.probability);
      c.fillRect(left, top, right - left, Math.max(bottom - top, 3 * dpr()));
    }
    c.restore();
  }

  function drawSpans(spans) {
    return u => {
      const c = u.ctx, box = u.bbox;
      c.save();
      for (const s of spans || []) {
        const left = Math.max(u.valToPos(s.from, "x", true), box.left), right = Math.min(u.valToPos(s.to, "x", true), box.left + box.width);
        c.globalAlpha = 0.22;
        c.fillStyle = colour(s.worse ? "drifted" : "light");
        if (right > left) c.fillRect(left, box.top, Math.max(right - left, 2 * dpr()), box.height);
      }
      c.restore();
    };
  }

  const markColour = kind => colour(kind === "user" ? "drifted" : kind === "automation" ? "pending" : "quiet");

  // Events cross all panels; on the first one they have names.
  function drawMarks(named) {
    return u => {
      const c = u.ctx, box = u.bbox, size = 6 * dpr();
      c.save();
      let free = -Infinity;
      c.font = 11 * dpr() + "px " + sans;
      c.textBaseline = "bottom";
      for (const [i, mark] of marks.entries()) {
        const x = u.valToPos(mark.time, "x", true);
        if (x < box.left || x > box.left + box.width) continue;
        c.fillStyle = c.strokeStyle = markColour(mark.kind);
        c.globalAlpha = 0.5;
        c.setLineDash([2 * dpr(), 3 * dpr()]);
        c.beginPath(); c.moveTo(x, box.top); c.lineTo(x, box.top + box.height); c.stroke();
        if (!named) continue;
        c.globalAlpha = 1;
        c.beginPath(); c.moveTo(x - size, box.top - size * 1.6); c.lineTo(x + size, box.top - size * 1.6); c.lineTo(x, box.top); c.fill();
        // The name stands to the right of its mark, or to the left at the edge,
        // and is left out where another one stands.
        const width = c.measureText(mark.actor).width, beside = size * 1.5;
        const next = i + 1 < marks.length ? u.valToPos(marks[i + 1].time, "x", true) - size : Infinity;
        const right = x + beside + width <= Math.min(next, box.left + box.width);
        const left = right ? x + beside : x - beside - width;
        if (mark.actor && (right ? x - size : left) > free) {
          c.textAlign = "left";
          c.fillText(mark.actor, left, box.top - size * 0.3);
          free = right ? left + width : x + size;
        } else {
          free = Math.max(free, x + size);
        }
      }
      c.restore();
    };
  }

  // lines says what stands at a place of the axis.
  function tip(lines) {
    return u => {
      let box = u.over.querySelector(".tip");
      if (!box) {
        box = document.createElement("div");
        box.className = "tip";
        u.over.append(box);
      }
      // Only where the pointer is: the others follow it with their line alone.
      box.hidden = !u.over.matches(":hover") || u.cursor.idx === null || u.cursor.idx === undefined || u.cursor.left < 0;
      if (box.hidden) return;
      const x = u.posToVal(u.cursor.left, "x");
      box.textContent = [at(x)].concat(lines(u, x)).join("\n");
      const right = u.cursor.left > u.over.clientWidth / 2;
      box.style.left = right ? "auto" : u.cursor.left + 14 + "px";
      box.style.right = right ? u.over.clientWidth - u.cursor.left + 14 + "px" : "auto";
      box.style.top = Math.max(0, Math.min(u.cursor.top, u.over.clientHeight - box.clientHeight)) + "px";
    };
  }

  const shown = v => v === null || v === undefined ? "(absent)" : data.numeric ? String(v) : lanes[v];
  // step is the last value of a series at or before a time.
  const step = (values, x) => {
    let found;
    for (let i = 0; i < data.times.length && data.times[i] <= x; i++) found = values[i];
    return found;
  };
  function settingLines(u, x) {
    const out = [];
    if (x <= data.now) out.push("actual " + shown(step(data.actual, x)), "template " + shown(step(data.template, x)));
    const then = held.filter(h => h.from <= x && x < h.to);
    for (const h of then) out.push((h.ahead ? "foreseen " : "expected ") + (data.numeric && h.low !== h.high ? round(h.low) + " to " + round(h.high) : shown(h.low)) + (h.probability < 1 ? " " + percent(h.probability) : ""));
    const near = marks.filter(m => Math.abs(u.valToPos(m.time, "x") - u.cursor.left) < 8);
    return out.concat(near.map(m => (m.actor || "somebody") + ": " + m.value));
  }

  // A label is cut to the room that there is.
  const pen = document.createElement("canvas").getContext("2d");
  function cut(text, room) {
    pen.font = font;
    if (pen.measureText(text).width <= room) return text;
    while (text.length > 1 && pen.measureText(text + "…").width > room) text = text.slice(0, -1);
    return text + "…";
  }
  const short = v => Math.abs(v) >= 1e6 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(1) : String(Number(v.toPrecision(4)));

  function heights() {
    if (!data.numeric) return [-0.6, Math.max(lanes.length - 0.4, 0.6)];
    const all = data.actual.concat(data.template).filter(v => v !== null);
    for (const h of held) all.push(h.low, h.high);
    const min = Math.min(...all), max = Math.max(...all);
    const room = (max - min) * 0.15 || Math.abs(max) * 0.1 || 1;
    return [min - room, max + room];
  }

  const stepped = uPlot.paths.stepped({ align: 1 });
  const sync = "shadow";
  let drawn = [];

  function options(height, last, top) {
    const axis = { stroke: colour("quiet"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    return {
      axis,
      common: {
        width: Math.max(place.clientWidth - 14, 200), height: height + (last ? 46 : 8), padding: [top, 20, last ? 0 : 6, 0],
        tzDate: t => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: true }, points: { size: 7 }, sync: { key: sync, setSeries: false, scales: ["x", null] }, y: false },
      },
      x: { time: true, range: (u, min, max) => zoom || [data.from, data.until] },
      time: Object.assign({}, axis, last ? { values: dates } : { values: (u, s) => s.map(() => ""), size: 4, ticks: { show: false } }),
    };
  }

  // A stretch that is marked with the pointer is looked at closer in all panels; a
  // double click goes back.
  let zoom = null;
  function zoomed(u) {
    if (u.select.width > 4) {
      zoom = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
      setTimeout(draw);
    }
  }

  function setting(last) {
    const o = options(data.numeric ? 210 : Math.max(110, 40 + 32 * lanes.length), last, 26);
    return new uPlot(Object.assign(o.common, {
      scales: { x: o.x, y: { range: heights } },
      axes: [o.time, Object.assign({}, o.axis, { size: gutter() }, data.numeric ? { values: (u, s) => s.map(short) } : {
        splits: () => lanes.map((_, i) => i), values: () => lanes.map(l => cut(l, gutter() - 22)), grid: { show: false },
      })],
      series: [
        {},
        { label: "actual", stroke: colour("ink"), width: 3, paths: stepped, points: { show: data.times.length < 40, size: 7, fill: colour("ink") } },
        { label: "template", stroke: colour("pending"), width: 2, dash: [8, 5], paths: stepped, points: { show: false } },
      ],
      hooks: { drawClear: [drawAhead, drawHeld], draw: [drawMarks(true)], setCursor: [tip(settingLines)], setSelect: [zoomed] },
    }), [data.times, data.actual, data.template], place);
  }

  function metric(m, last) {
    const o = options(84, last, 8);
    const ink = colour("ink"), range = colour("penumbra");
    return new uPlot(Object.assign(o.common, {
      scales: { x: o.x, y: {} },
      axes: [o.time, Object.assign({}, o.axis, { size: gutter(), space: 34, values: (u, s) => s.map(short) })],
      series: [{}, { label: "most", stroke: "transparent", points: { show: false } }, { label: "least", stroke: "transparent", points: { show: false } }, { label: m.name, stroke: ink, width: 1.6, points: { show: false } }],
      bands: [{ series: [1, 2], fill: range.replace("rgb(", "rgba(").replace(")", ", 0.3)") }],
      hooks: {
        drawClear: [drawAhead, drawSpans(m.spans)], draw: [drawMarks(false)], setSelect: [zoomed],
        setCursor: [tip((u, x) => {
          const i = u.cursor.idx;
          return [m.name + " " + round(m.mean[i]), "from " + round(m.low[i]) + " to " + round(m.high[i])].concat((m.spans || []).filter(s => s.from <= x && x <= s.to).map(s => s.title));
        })],
      },
    }), [m.times, m.high, m.low, m.mean], place);
  }

  function draw() {
    drawn.forEach(u => u.destroy());
    place.querySelectorAll("h3").forEach(h => h.remove());
    drawn = [];
    if (data.times) drawn.push(setting(metrics.length === 0));
    metrics.forEach((m, i) => {
      const title = document.createElement("h3");
      title.textContent = m.name;
      place.append(title);
      drawn.push(metric(m, i === metrics.length - 1));
    });
    place.dataset.state = "drawn";
  }

  place.addEventListener("dblclick", () => { zoom = null; draw(); });
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = place.clientWidth;
  new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw();
  }).observe(place);
})();
