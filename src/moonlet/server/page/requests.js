// A turn as a request that anybody can send, in the protocol that most clients speak.

const base = () => new URL("v1", document.baseURI).href;

function body({ messages, temperature, top_p, max_tokens, seed, thinking, system }, about) {
  const first = system && messages[0]?.role !== "system" ? [{ role: "system", content: system }] : [];
  return {
    model: about.model,
    messages: [...first, ...messages],
    ...Object.fromEntries(Object.entries({ temperature, top_p, max_tokens, seed }).filter(([, value]) => value !== undefined && value !== null)),
    ...(thinking === false && { chat_template_kwargs: { thinking: false } }),
    stream: true,
  };
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curl(request, about) {
  const asked = about.keys || about.key ? " \\\n  -H \"Authorization: Bearer $MOONLET_API_KEY\"" : "";
  return `curl -N ${base()}/chat/completions${asked} \\\n  -H "Content-Type: application/json" \\\n  -d ${quoted(JSON.stringify(body(request, about), null, 2))}`;
}

export function python(request, about) {
  const { model, messages, stream, ...rest } = body(request, about);
  const { chat_template_kwargs: extra, ...options } = rest;
  const value = (one) => JSON.stringify(one, null, 4).replace(/\bnull\b(?=[,\n\s}\]])/g, "None").replace(/: true/g, ": True").replace(/: false/g, ": False");
  const lines = [
    `model=${JSON.stringify(model)}`,
    `messages=json.loads(r"""${JSON.stringify(messages, null, 2).replaceAll('"""', '\\"\\"\\"')}""")`,
    ...Object.entries(options).map(([name, one]) => `${name}=${value(one)}`),
    ...(extra ? [`extra_body={"chat_template_kwargs": ${value(extra)}}`] : []),
    "stream=True",
  ];
  const key = about.keys || about.key ? 'os.environ["MOONLET_API_KEY"]' : '"anything"';
  return `import json
import os

from openai import OpenAI

client = OpenAI(base_url="${base()}", api_key=${key})
stream = client.chat.completions.create(
    ${lines.join(",\n    ")},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}
