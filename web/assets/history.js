// Draws the history of one setting: what web/plot.go laid out, which is in the
// page as JSON. Colours are the page's own, so light and dark follow.
(() => {
  "use strict";
  const place = document.getElementById("plot");
  const source = document.getElementById("plot-data");
  if (!place || !source) return;
  const data = JSON.parse(source.textContent);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const font = "12px " + getComputedStyle(document.body).fontFamily;
  const expected = data.expected || [];
  const marks = data.marks || [];
  const lanes = data.lanes || [];

  // The axis ends a little after the last point, where the shadow falls.
  const first = data.times[0], last = data.times[data.times.length - 1];
  const span = Math.max(last - first, 60);
  const range = { min: first - span * 0.02, max: last + span * 0.06 };

  function heights() {
    if (!data.numeric) return [-0.6, Math.max(lanes.length - 0.4, 0.6)];
    const all = data.actual.concat(data.template, data.band || []).filter(v => v !== null);
    const min = Math.min(...all), max = Math.max(...all);
    const room = (max - min) * 0.15 || Math.abs(max) * 0.1 || 1;
    return [min - room, max + room];
  }

  // What is expected now lies under everything.
  function drawExpected(u) {
    const c = u.ctx, box = u.bbox;
    const fill = (low, high) => {
      const top = u.valToPos(high, "y", true), bottom = u.valToPos(low, "y", true);
      c.fillRect(box.left, top, box.width, bottom - top);
    };
    c.save();
    c.globalAlpha = 0.22;
    c.fillStyle = colour("light");
    if (data.band) fill(data.band[0], data.band[1]);
    for (const lane of expected) fill(lane - 0.36, lane + 0.36);
    c.restore();
  }

  const markColour = kind => colour(kind === "user" ? "drifted" : kind === "automation" ? "pending" : "quiet");

  function drawMarks(u) {
    const c = u.ctx, box = u.bbox, size = 6 * devicePixelRatio;
    c.save();
    let free = -Infinity;
    c.font = 11 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
    c.textBaseline = "bottom";
    for (const [i, mark] of marks.entries()) {
      const x = u.valToPos(mark.time, "x", true);
      if (x < box.left || x > box.left + box.width) continue;
      c.fillStyle = c.strokeStyle = markColour(mark.kind);
      c.globalAlpha = 0.5;
      c.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      c.beginPath(); c.moveTo(x, box.top); c.lineTo(x, box.top + box.height); c.stroke();
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
  }

  const at = v => new Date(v * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const shown = v => v === null || v === undefined ? "(absent)" : data.numeric ? String(v) : lanes[v];

  function tip(u) {
    let box = u.over.querySelector(".tip");
    if (!box) {
      box = document.createElement("div");
      box.className = "tip";
      u.over.append(box);
    }
    const i = u.cursor.idx;
    box.hidden = i === null || i === undefined || u.cursor.left < 0;
    if (box.hidden) return;
    const near = marks.filter(m => Math.abs(u.valToPos(m.time, "x") - u.cursor.left) < 8);
    box.textContent = [at(u.data[0][i]), "actual " + shown(u.data[1][i]), "template " + shown(u.data[2][i])]
      .concat(near.map(m => (m.actor || "somebody") + ": " + m.value)).join("\n");
    const right = u.cursor.left > u.over.clientWidth / 2;
    box.style.left = right ? "auto" : u.cursor.left + 14 + "px";
    box.style.right = right ? u.over.clientWidth - u.cursor.left + 14 + "px" : "auto";
    box.style.top = Math.max(0, Math.min(u.cursor.top, u.over.clientHeight - box.clientHeight)) + "px";
  }

  const labels = lanes.map(l => l.length > 22 ? l.slice(0, 21) + "…" : l);
  function axisWidth(u, values) {
    const c = u.ctx;
    c.save();
    c.font = font;
    const widest = Math.max(0, ...(values || []).map(v => c.measureText(v).width));
    c.restore();
    return Math.min(Math.ceil(widest) + 22, place.clientWidth * 0.38);
  }

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

  const height = () => data.numeric ? 280 : Math.max(200, 110 + 42 * lanes.length);
  const stepped = uPlot.paths.stepped({ align: 1 });
  let drawn = null;

  function draw() {
    if (drawn) drawn.destroy();
    const axis = { stroke: colour("quiet"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    drawn = new uPlot({
      width: Math.max(place.clientWidth - 14, 200), height: height(), padding: [26, 26, 0, 0],
      tzDate: t => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { size: 9 } },
      scales: { x: { time: true, range: (u, min, max) => min <= first && max >= last ? [range.min, range.max] : [min, max] }, y: { range: heights } },
      axes: [Object.assign({}, axis, { values: dates }), Object.assign({}, axis, { size: axisWidth }, data.numeric ? {} : {
        splits: () => lanes.map((_, i) => i), values: () => labels, grid: { show: false },
      })],
      series: [
        {},
        { label: "actual", stroke: colour("ink"), width: 3, paths: stepped, points: { show: data.times.length < 40, size: 7, fill: colour("ink") } },
        { label: "template", stroke: colour("pending"), width: 2, dash: [8, 5], paths: stepped, points: { show: false } },
      ],
      hooks: { drawClear: [drawExpected], draw: [drawMarks], setCursor: [tip] },
    }, [data.times, data.actual, data.template], place);
    place.dataset.state = "drawn";
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => {
    const width = Math.max(place.clientWidth - 14, 200);
    if (drawn && drawn.width !== width) drawn.setSize({ width, height: height() });
  }).observe(place);
})();
