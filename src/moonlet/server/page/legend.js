// What the colours of a chart mean. series: as Chart has them.

import { html } from "./vendor/preact.js";

export const Legend = ({ series }) => html`
  <ul class="legend">${series.map((one) => html`
    <li><i class=${one.dash ? "dashed" : one.bars || one.block ? "block" : ""} style=${{ color: `var(${one.colour})` }} aria-hidden="true"></i>${one.name}</li>`)}
  </ul>
`;
