// tools/report_lib/page.js: what a report gains where scripts run: values under the pointer, lines to hide, a timeline to zoom.
// Without it all plots, numbers and the choice of an axis are there. It reads the page's own attributes, fetches nothing, and
// writes texts only as texts. Its outcome is document.documentElement.dataset.report: "ready", or the error.
"use strict";
window.addEventListener("error", (e) => { document.documentElement.dataset.report = "error: " + e.message; });
document.documentElement.classList.add("scripted");

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("role", "status");
document.body.append(tip);

function showTip(event, parts) {
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - 16 - box.width : event.clientX + 16;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
}
const hideTip = () => { tip.hidden = true; };

// Bars, dots, spans, crosses: their <title> becomes a text that shows at once.
for (const title of document.querySelectorAll(".plot title")) {
  const owner = title.parentNode;
  owner.dataset.tip = title.textContent;
  title.remove();
}
document.addEventListener("pointermove", (event) => {
  const owner = event.target.closest?.("[data-tip]");
  if (owner) showTip(event, [owner.dataset.tip]);
  else if (!event.target.closest?.("[data-plot]")) hideTip();
});
document.addEventListener("scroll", hideTip, true);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

const number = (v) => v === 0 ? "0" : Math.abs(v) >= 1e7 || Math.abs(v) < 1e-4 ? v.toExponential(3) : String(+v.toPrecision(5));

// Lines: the entries nearest to the pointer's x, of all lines that are shown.
function readout(plot) {
  const about = JSON.parse(plot.dataset.plot);
  const [low, high, from, to, log] = about.x;
  const guide = plot.querySelector(".guide");
  let lines = null;
  const place = (v) => from + (to - from) * (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
  plot.addEventListener("pointermove", (event) => {
    if (event.target.closest("[data-tip]")) return;
    lines ??= [...plot.querySelectorAll("[data-points]")].map((g) => ({ g, points: JSON.parse(g.dataset.points) }));
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    const share = (Math.min(to, Math.max(from, at.x)) - from) / (to - from);
    const x = log ? low * (high / low) ** share : low + share * (high - low);
    const middle = (p) => p.length > 2 ? (p[0] + p[1]) / 2 : p[0];
    const found = lines.filter(({ g }) => !g.classList.contains("off")).map(({ g, points }) => {
      let a = 0, b = points.length - 1;
      while (a < b) { const m = (a + b) >> 1; if (middle(points[m]) < x) a = m + 1; else b = m; }
      if (a > 0 && Math.abs(middle(points[a - 1]) - x) < Math.abs(middle(points[a]) - x)) --a;
      return { g, point: points[a] };
    }).filter((f) => f.point);
    if (!found.length) return;
    const best = found.reduce((p, q) => Math.abs(middle(p.point) - x) <= Math.abs(middle(q.point) - x) ? p : q);
    const px = place(middle(best.point));
    guide.setAttribute("d", `M${px.toFixed(1)} ${about.top}V${about.bottom}`);
    guide.setAttribute("visibility", "visible");
    const p = best.point;
    const where = about.xName === "date" ? new Date(p[0] * 1000).toISOString().slice(0, 16).replace("T", " ")
      : about.xName + " " + (p.length > 2 && p[0] !== p[1] ? number(p[0]) + " to " + number(p[1]) : number(p[0]));
    const parts = [where];
    for (const { g, point } of found) {
      const value = point.length > 2 ? `${number(point[2])} (${number(point[3])} to ${number(point[4])})` : number(point[1]);
      const mark = document.createElement("span");
      mark.textContent = "\u25cf ";
      mark.style.color = getComputedStyle(g).getPropertyValue("--c");
      const off = middle(point) === middle(p) || about.xName === "date" ? "" : ` at ${number(middle(point))}`;
      parts.push("\n", mark, `${g.dataset.name}: ${value}${off}`);
    }
    showTip(event, parts);
  });
  plot.addEventListener("pointerleave", () => { guide.setAttribute("visibility", "hidden"); hideTip(); });
}
for (const plot of document.querySelectorAll("[data-plot]")) readout(plot);

// Legends: a button hides what it names, in its own figure where that has it, else in its section.
for (const button of document.querySelectorAll("[data-toggle]")) {
  button.addEventListener("click", () => {
    const scope = button.closest("figure") ?? button.closest("[data-scope]") ?? document;
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const g of scope.querySelectorAll("[data-key]"))
      if (g.dataset.key === button.dataset.toggle) g.classList.toggle("off", !shown);
  });
}

// Timelines: every span is laid out again for the window [begin, end] of microseconds.
function timeline(plot) {
  const about = JSON.parse(plot.dataset.timeline);
  const width = about.right - about.left;
  const spans = [...plot.querySelectorAll(".span")].map((g) => {
    const [begin, end] = g.dataset.t.split(" ").map(Number);
    return { g, rect: g.querySelector("rect"), text: g.querySelector("text"), begin, end };
  });
  const ticks = plot.querySelector(".ticks");
  let begin = 0, end = about.duration;

  function drawTicks() {
    const rough = (end - begin) / about.unit / 8;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const parts = [];
    for (let i = Math.ceil(begin / about.unit / step - 1e-9); i * step * about.unit <= end * (1 + 1e-9); ++i) {
      const x = (about.left + width * (i * step * about.unit - begin) / (end - begin)).toFixed(1);
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      line.setAttribute("class", "grid");
      line.setAttribute("d", `M${x} 20V${about.bottom}`);
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("class", "quiet");
      text.setAttribute("x", x);
      text.setAttribute("y", 14);
      text.setAttribute("text-anchor", "middle");
      text.textContent = (i * step).toFixed(decimals);
      parts.push(line, text);
    }
    ticks.replaceChildren(...parts);
  }
  function draw() {
    for (const s of spans) {
      const seen = s.end >= begin && s.begin <= end;
      s.g.classList.toggle("off", !seen);
      if (!seen) continue;
      const x = width * (s.begin - begin) / (end - begin);
      const w = Math.max(0.4, width * (s.end - s.begin) / (end - begin));
      s.rect.setAttribute("x", x.toFixed(1));
      s.rect.setAttribute("width", w.toFixed(1));
      const from = Math.max(0, x), room = Math.min(width, x + w) - from - 8;
      const fits = 6.2 * s.g.dataset.label.length <= room;
      if (fits && !s.text) {
        s.text = document.createElementNS("http://www.w3.org/2000/svg", "text");
        s.text.setAttribute("y", (+s.rect.getAttribute("y") + 14).toFixed(1));
        s.text.textContent = s.g.dataset.label;
        s.g.append(s.text);
      }
      if (s.text) {
        s.text.classList.toggle("off", !fits);
        s.text.setAttribute("x", (from + 4).toFixed(1));
      }
    }
    drawTicks();
  }
  function zoom(factor, middle = (begin + end) / 2) {
    const length = Math.min(about.duration, Math.max(about.duration / 5000, (end - begin) * factor));
    begin = middle - (middle - begin) * (length / (end - begin));
    begin = Math.min(Math.max(0, begin), about.duration - length);
    end = begin + length;
    draw();
  }
  const timeAt = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    return begin + (end - begin) * Math.min(1, Math.max(0, (at.x - about.left) / width));
  };
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    hideTip();
    zoom(Math.exp(event.deltaY * 0.002), timeAt(event));
  }, { passive: false });
  plot.addEventListener("dblclick", (event) => zoom(0.4, timeAt(event)));
  let held = null;
  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || end - begin >= about.duration) return;
    held = { x: event.clientX, begin };
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (!held) return;
    const scale = plot.getScreenCTM().a;
    const length = end - begin;
    begin = Math.min(Math.max(0, held.begin - (event.clientX - held.x) / scale / width * length), about.duration - length);
    end = begin + length;
    draw();
  });
  for (const kind of ["pointerup", "pointercancel"]) plot.addEventListener(kind, () => { held = null; });
  const tools = plot.closest("figure").querySelector(".tools");
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const what = event.target.dataset.zoom;
    if (what) zoom({ in: 0.5, out: 2, all: Infinity }[what]);
  });
}
for (const plot of document.querySelectorAll("[data-timeline]")) timeline(plot);

// For tests: how many plots there are and how many of those on show have no size.
const plots = [...document.querySelectorAll(".plot")];
const hidden = (p) => [".view", ".for-wide", ".for-narrow"].some((css) => { const box = p.closest(css); return box && getComputedStyle(box).display === "none"; });
const shown = plots.filter((p) => !hidden(p));
const empty = shown.filter((p) => { const box = p.getBoundingClientRect(); return !(box.width > 50 && box.height > 10); });
const root = document.documentElement;
root.dataset.plots = plots.length;
root.dataset.empty = empty.length;
root.dataset.wider = Number(root.scrollWidth > innerWidth + 1);
if (!root.dataset.report) root.dataset.report = "ready";
