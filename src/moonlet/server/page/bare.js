import { t } from "./i18n.js";

// What could draw over a question or hide in it is shown as codes.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
export const bare = (text) => text.replace(HIDDEN, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);

// What a yes for the whole run would cover: mostly the tool, else what the tool says.
export const covered = (lasting, tool) => (lasting === `every call of ${tool}` ? t("talk.every_call", { tool: bare(tool) }) : bare(lasting));
