// A strip of the expert map below a conversation: what works now, and one sentence. It leads to Look inside.

import { compact, html, number, percent, router, t, useEffect, useRef, useState } from "../ui.js";
import { latest } from "../look.js";
import { Sky } from "../sky.js";

export function Band({ anatomy }) {
  const now = latest.use();
  const canvas = useRef();
  const [line, tell] = useState("");
  useEffect(() => {
    if (!now) return;
    const { look } = now;
    const sky = new Sky(canvas.current, look, { pad: 20 });
    let timer = 0;
    const say = () => {
      timer = 0;
      const parts = Object.values(look.parts(32)).reduce((sum, one) => sum + one, 0);
      tell(parts ? t("talk.band_speed", { speed: number(1 / parts, 1 / parts < 10 ? 1 : 0) }) : "");
    };
    const leave = look.subscribe(() => (timer ||= setTimeout(say, 400)));
    return () => (leave(), clearTimeout(timer), sky.close());
  }, [now]);
  if (!now) return null;
  const { chosen, experts, active, parameters } = anatomy;
  return html`
    <button type="button" class="band" onClick=${() => router.go("inside")} aria-label=${t("talk.band", { chosen, experts, share: percent(active / parameters) })}>
      <canvas ref=${canvas}></canvas>
      <span class="band-text"><strong>${t("inside.of", { chosen, experts })}</strong><span>${t("talk.band_text", { active: compact(active), all: compact(parameters) })}</span><span class="number">${line}</span></span>
    </button>
  `;
}
