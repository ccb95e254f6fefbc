// Lines over numbers or days, drawn by uPlot in the page's own colours.
//
//   html`<${Chart} label="what a reader who sees no chart is told" x=${[...]} height=${220}
//        series=${[{name, values: [...], colour: "--series-1", dash?, fill?, bars?}]}
//        xKind="number|time" xLabel=... yFormat=${(value) => text} mark=${{x, label}} />`
//
// `x` are numbers, or seconds since 1970 for xKind "time". Values may hold null. Colours are names of CSS variables. A
// table with the same numbers belongs beside every chart (ui.js: Figures), hidden or not: a canvas says nothing aloud.

import { html, useEffect, useRef } from "./vendor/preact.js";
import { locale } from "./i18n.js";
import { theme } from "./theme.js";

// What a CSS variable is now, as a colour a canvas understands.
export function colour(name, of = document.body) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  of.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const { uPlot } = globalThis; // of a script before this one

export function Chart({ label, x, series, height = 220, xKind = "number", xLabel, xFormat, yFormat, mark, min = 0 }) {
  const place = useRef();
  const drawn = useRef();
  const shown = theme.use();

  useEffect(() => {
    drawn.current?.destroy();
    drawn.current = new uPlot(options(), [x, ...series.map((one) => one.values)], place.current);
  }, [shown, locale(), series.map((one) => one.name + one.colour + !!one.bars).join(), xKind, height, mark?.x, yFormat?.(1)]);

  useEffect(() => {
    // With more or fewer lines it is about to be drawn anew.
    if (drawn.current?.series.length === series.length + 1) drawn.current.setData([x, ...series.map((one) => one.values)]);
  }, [x, series]);

  useEffect(() => {
    const fit = new ResizeObserver(([entry]) => drawn.current?.setSize({ width: entry.contentRect.width, height }));
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      drawn.current?.destroy();
      drawn.current = null;
    };
  }, []);

  function options() {
    const ink = colour("--muted");
    const grid = { stroke: colour("--line"), width: 1 };
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: ink, grid, ticks: { show: false }, font, labelFont: font, gap: 6 };
    const day = new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short" });
    const half = xKind === "number" && series.some((one) => one.bars); // so that the outer bars are whole
    const inX = xFormat ?? (xKind === "time" ? (value) => day.format(value * 1000) : undefined);
    return {
      width: place.current.clientWidth,
      height,
      legend: { show: false },
      cursor: { y: false, points: { size: 7 } },
      scales: { x: { time: xKind === "time", ...(half && { range: (_, low, high) => [low - 0.5, high + 0.5] }) }, y: { range: (_, low, high) => [Math.min(min, low ?? 0), (high || 1) * 1.06] } },
      axes: [
        { ...axis, size: 32, grid: { show: false }, label: xLabel, labelSize: 22, values: inX && ((_, ticks) => ticks.map(inX)) },
        { ...axis, size: 64, values: yFormat && ((_, ticks) => ticks.map(yFormat)) },
      ],
      series: [
        {},
        ...series.map((one) => ({
          label: one.name,
          stroke: colour(one.colour),
          fill: one.bars ? colour(one.colour) : one.fill ? `color-mix(in srgb, ${colour(one.colour)} 14%, transparent)` : undefined,
          width: one.bars ? 0 : 2,
          dash: one.dash,
          points: { show: x.length === 1 },
          paths: one.bars ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined,
        })),
      ],
      hooks: mark ? { draw: [(chart) => drawMark(chart, mark)] } : {},
    };
  }

  return html`<div class="chart" role="img" aria-label=${label}><div ref=${place}></div></div>`;
}

function drawMark(chart, { x, label }) {
  const at = chart.valToPos(x, "x", true);
  const { ctx, bbox } = chart;
  if (at < bbox.left || at > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--accent");
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  if (label) {
    ctx.font = `600 ${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    const right = at > bbox.left + bbox.width * 0.7;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(label, at + (right ? -6 : 6) * devicePixelRatio, bbox.top + 14 * devicePixelRatio);
  }
  ctx.restore();
}
