// What was seen of a reply's way through the experts, token by token.
//
// One Look for each run: tokens with their experts, and for each expert how often and how lately it was chosen. It is kept
// in this tab alone: the latest one is shown.

import { store } from "./store.js";

const TOKENS = 4000; // of one look that keep their experts

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Kind === Uint8Array ? bytes : new Kind(bytes.buffer);
}

export class Look {
  // `anatomy` is about.anatomy: layers are its sparse ones.
  constructor(anatomy) {
    this.layers = anatomy.sparse_layers;
    this.experts = anatomy.experts;
    this.chosen = anatomy.chosen;
    this.tokens = []; // {text, experts, weights, tiers, at, step}: arrays [layers, K]
    this.first = 0; // tokens that were dropped from the beginning
    this.prompt = 0; // tokens of the prompt that were seen
    const size = this.layers * this.experts;
    this.counts = new Uint32Array(size); // how many of the reply's tokens chose each expert
    this.prompts = new Uint32Array(size); // and of the prompt's
    this.weights = new Float32Array(size); // their weights, added up
    this.tier = new Uint8Array(size).fill(255); // where it was when it was last asked for; 255: not known
    this.steps = []; // {parts, seconds, tokens, hits, misses, bytes} of the last steps
    this.bytes = this.hits = this.misses = 0;
    this.listeners = new Set();
  }

  get written() {
    return this.first + this.tokens.length;
  }

  add(frame) {
    const seconds = Object.values(frame.parts).reduce((sum, one) => sum + one, 0);
    if (frame.prompt) {
      this.prompt += frame.count;
      const counts = decode(frame.counts, Uint16Array);
      for (let layer = 0; layer < this.layers; layer++)
        for (let e = 0; e < frame.width; e++) this.prompts[layer * this.experts + e] += counts[layer * frame.width + e];
    } else {
      const experts = decode(frame.experts, Uint16Array);
      const weights = decode(frame.weights, Uint8Array);
      const tiers = decode(frame.tiers, Uint8Array);
      const size = this.layers * this.chosen;
      frame.tokens.forEach((text, i) => {
        const own = (array) => array.subarray(i * size, (i + 1) * size);
        this.tokens.push({ text, experts: own(experts), weights: own(weights), tiers: own(tiers), at: frame.start + i, parts: frame.parts, step: frame.step });
        this.count(this.tokens.at(-1));
      });
      this.steps.push({ parts: frame.parts, seconds, tokens: frame.count, step: frame.step, hits: frame.hits, misses: frame.misses, bytes: frame.bytes });
      if (this.steps.length > 400) this.steps.shift();
      const share = frame.count / frame.step;
      this.bytes += frame.bytes * share;
      this.hits += frame.hits * share;
      this.misses += frame.misses * share;
      if (this.tokens.length > TOKENS) this.first += this.tokens.splice(0, this.tokens.length - TOKENS).length;
    }
    for (const listener of this.listeners) listener(frame);
  }

  count(token) {
    for (let layer = 0; layer < this.layers; layer++)
      for (let k = 0; k < this.chosen; k++) {
        const from = layer * this.chosen + k;
        const to = layer * this.experts + token.experts[from];
        this.counts[to]++;
        this.weights[to] += token.weights[from] / 255;
        // Once it has been read it is kept, for now: that is what it will be for the next token.
        this.tier[to] = token.tiers[from];
      }
  }

  // Seconds a token by part, over the last steps that wrote: {attention, router, ...}.
  parts(last = 64) {
    const steps = this.steps.slice(-last);
    const tokens = steps.reduce((sum, one) => sum + one.tokens, 0) || 1;
    const found = {};
    for (const { parts } of steps) for (const [name, seconds] of Object.entries(parts)) found[name] = (found[name] ?? 0) + seconds / tokens;
    return found;
  }

  // The tokens that an expert served, the last first.
  served(layer, expert, most = 40) {
    const found = [];
    for (let i = this.tokens.length - 1; i >= 0 && found.length < most; i--) {
      const { experts, weights } = this.tokens[i];
      for (let k = 0; k < this.chosen; k++)
        if (experts[layer * this.chosen + k] === expert) found.push({ index: i, text: this.tokens[i].text, weight: weights[layer * this.chosen + k] / 255 });
    }
    return found;
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export const latest = store(null); // {run, look}

// A new one for a run that is heard from its beginning.
export function lookOf(run, anatomy) {
  const look = new Look(anatomy);
  latest.set({ run, look });
  return look;
}
