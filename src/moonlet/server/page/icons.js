// Small line drawings on a grid of 24, in the colour of the text around them.

import { html } from "./vendor/preact.js";

const PATHS = {
  talk: "M4 5h16v11H9l-5 4z",
  inside: "M12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2.100 2.100M16.300 16.300l2.100 2.100M18.400 5.600l-2.100 2.100M7.700 16.300l-2.100 2.100M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  act: "M4 6h9M4 12h5M4 18h12M17 4v4M13 10v4M20 16v4",
  articles: "M6 4h12v16H6zM9 8h6M9 12h6M9 16h3",
  books: "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM5 17a3 3 0 0 1 3-3h11M9 8h6",
  plan: "M4 19h16M5 16c3 0 4-9 7-9s3 5 7-2M19 5v4M19 5h-4",
  send: "M12 20V5M5.500 11.500 12 5l6.500 6.500",
  stop: "M7 7h10v10H7z",
  save: "M12 4v11M7 10.500l5 5 5-5M5 20h14",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  edit: "M4 20l1-4L16 5l3 3L8 19zM13.500 7.500l3 3",
  again: "M19 12a7 7 0 1 1-2.200-5.100M19 3v4h-4",
  check: "M5 12.500l4.500 4.500L19 7",
  clip: "M8 12.500l6-6a3 3 0 0 1 4.300 4.300l-8 8a5 5 0 0 1-7-7L11 4",
  tune: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  tool: "M14 6.500a4 4 0 0 0-5.200 5.100L4 16.500 7.500 20l4.900-4.800A4 4 0 0 0 17.500 10l-2.500 2.500-3-3z",
  key: "M14 10a4 4 0 1 0-3.500 4L14 17.500h3V20h3v-3.500L14.500 11z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  moon: "M19 14.500A7.500 7.500 0 0 1 9.500 5a7.500 7.500 0 1 0 9.500 9.500z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  list: "M5 6h14M5 12h14M5 18h14",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  left: "M14.500 6l-6 6 6 6",
  right: "M9.500 6l6 6-6 6",
  down: "M6 9.500l6 6 6-6",
  warn: "M12 4 2.500 20h19zM12 10v5M12 17.200v.3",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.500l3 2",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>
`;
