// The map of experts: a night sky, one star for each expert, layers from top to bottom. A star's colour is how much it
// worked so far; one that works now flares up and fades.

const FADE_S = 1.4;
const PALETTE = [
  [36, 42, 82],
  [58, 68, 140],
  [112, 104, 200],
  [214, 160, 140],
  [246, 207, 138],
  [255, 244, 218],
];
const TIERS = { 1: "#f6cf8a", 2: "#8f9be8", 3: "#4b527d" }; // pinned, cached, on disk

export function heatColour(heat) {
  const at = Math.min(Math.max(heat, 0), 1) * (PALETTE.length - 1);
  const low = Math.min(Math.floor(at), PALETTE.length - 2);
  const part = at - low;
  const mixed = PALETTE[low].map((one, i) => Math.round(one + (PALETTE[low + 1][i] - one) * part));
  return `rgb(${mixed})`;
}

// Sky draws into `canvas` and follows `look` until close(). `pad` leaves room for the names of layers.
export class Sky {
  constructor(canvas, look, { pad = 0, calm = matchMedia("(prefers-reduced-motion: reduce)").matches } = {}) {
    Object.assign(this, { canvas, look, pad, calm });
    this.context = canvas.getContext("2d");
    this.base = document.createElement("canvas");
    this.lit = new Map(); // place -> {strength, since}
    this.focus = null; // {layer, expert}
    this.marked = null; // a token whose experts are shown
    this.tiers = null; // Uint8Array [layers * experts]: rings
    this.stale = true;
    this.leave = look.subscribe((frame) => this.heard(frame));
    this.fit = new ResizeObserver(() => this.resize());
    this.fit.observe(canvas);
    this.resize();
  }

  close() {
    this.leave();
    this.fit.disconnect();
    cancelAnimationFrame(this.drawing);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const scale = Math.min(devicePixelRatio || 1, 2);
    for (const one of [this.canvas, this.base]) {
      one.width = Math.round(width * scale);
      one.height = Math.round(height * scale);
    }
    Object.assign(this, { width, height, scale });
    this.cell = { w: (width - this.pad * 1.3) / this.look.experts, h: height / this.look.layers };
    this.stale = true;
    this.draw();
  }

  // The middle of a star.
  at(layer, expert) {
    return [this.pad + (expert + 0.5) * this.cell.w, (layer + 0.5) * this.cell.h];
  }

  // {layer, expert} under a point of the canvas, or null.
  find(x, y) {
    if (!this.cell) return null;
    const expert = Math.floor((x - this.pad) / this.cell.w);
    const layer = Math.floor(y / this.cell.h);
    const inside = expert >= 0 && expert < this.look.experts && layer >= 0 && layer < this.look.layers;
    return inside ? { layer, expert } : null;
  }

  heard(frame) {
    this.stale = true;
    if (!frame.prompt) {
      const now = performance.now() / 1000;
      const { tokens, chosen, layers, experts } = this.look;
      for (const token of tokens.slice(-frame.count)) {
        if (this.calm) this.lit.clear();
        for (let layer = 0; layer < layers; layer++)
          for (let k = 0; k < chosen; k++) {
            const from = layer * chosen + k;
            this.lit.set(layer * experts + token.experts[from], { strength: 0.35 + (0.65 * token.weights[from]) / 255, since: now });
          }
      }
    }
    this.draw();
  }

  mark(token) {
    this.marked = token;
    this.draw();
  }

  draw() {
    if (!this.drawing) this.drawing = requestAnimationFrame(() => ((this.drawing = 0), this.paint()));
  }

  paint() {
    if (!this.cell) return;
    if (this.stale) this.paintBase();
    const { context, scale, look } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.globalAlpha = this.marked ? 0.55 : 1;
    context.drawImage(this.base, 0, 0);
    context.globalAlpha = 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.globalCompositeOperation = "lighter";
    const now = performance.now() / 1000;
    const radius = this.radius();
    let moving = false;
    if (this.marked) {
      for (let layer = 0; layer < look.layers; layer++)
        for (let k = 0; k < look.chosen; k++) {
          const from = layer * look.chosen + k;
          this.flare(layer * look.experts + this.marked.experts[from], 0.4 + (0.6 * this.marked.weights[from]) / 255, radius);
        }
    } else {
      for (const [place, { strength, since }] of this.lit) {
        const left = this.calm ? 1 : 1 - (now - since) / FADE_S;
        if (left <= 0) this.lit.delete(place);
        else {
          this.flare(place, strength * left * left, radius);
          moving ||= !this.calm;
        }
      }
    }
    context.globalCompositeOperation = "source-over";
    if (this.focus) {
      const [x, y] = this.at(this.focus.layer, this.focus.expert);
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(x, y, Math.max(radius * 1.9, 5), 0, 7);
      context.stroke();
    }
    if (moving) this.draw();
  }

  radius() {
    return Math.max(0.8, Math.min(this.cell.w * 0.42, this.cell.h * 0.36, 9));
  }

  flare(place, strength, radius) {
    const [x, y] = this.at(Math.floor(place / this.look.experts), place % this.look.experts);
    // Where stars stand close together, those that work still have to be seen.
    const reach = Math.max(radius, this.marked ? 2.6 : 2) * (1.6 + 2.2 * strength);
    this.context.globalAlpha = Math.min(strength, 1);
    this.context.drawImage(glow(), x - reach, y - reach, 2 * reach, 2 * reach);
    this.context.globalAlpha = 1;
  }

  paintBase() {
    this.stale = false;
    const context = this.base.getContext("2d");
    const { look, scale } = this;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const radius = this.radius();
    const written = look.written || look.prompt;
    const counts = look.written ? look.counts : look.prompts;
    // Warmth grows with the logarithm: as often as chance would have it is under half, 16 times as often nearly all.
    const fair = (written * look.chosen) / look.experts || 1;
    for (let layer = 0; layer < look.layers; layer++)
      for (let e = 0; e < look.experts; e++) {
        const place = layer * look.experts + e;
        const count = counts[place];
        const [x, y] = this.at(layer, e);
        const heat = count ? 0.25 + 0.75 * Math.min(1, Math.log2(1 + count / fair) / 4.2) : 0;
        context.fillStyle = heatColour(heat);
        const size = Math.max(radius * (count ? 0.62 + 0.38 * heat : 0.5), 0.6);
        if (size < 1.2) context.fillRect(x - size, y - size, 2 * size, 2 * size);
        else {
          context.beginPath();
          context.arc(x, y, size, 0, 7);
          context.fill();
        }
        const tier = this.tiers?.[place];
        if (tier && radius > 2.4) {
          context.strokeStyle = TIERS[tier];
          context.lineWidth = 1;
          context.beginPath();
          context.arc(x, y, radius * 1.25, 0, 7);
          context.stroke();
        }
      }
  }
}

// A soft star, drawn once.
let star;
function glow() {
  if (star) return star;
  star = document.createElement("canvas");
  star.width = star.height = 64;
  const context = star.getContext("2d");
  const light = context.createRadialGradient(32, 32, 0, 32, 32, 32);
  light.addColorStop(0, "rgba(255, 250, 235, 1)");
  light.addColorStop(0.22, "rgba(255, 225, 160, .95)");
  light.addColorStop(0.5, "rgba(246, 190, 110, .32)");
  light.addColorStop(1, "rgba(246, 190, 110, 0)");
  context.fillStyle = light;
  context.fillRect(0, 0, 64, 64);
  return star;
}
