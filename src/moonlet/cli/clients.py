"""How the usual clients are pointed at a server: for each a line that can be pasted into a shell.

`python -m bench.clients PACKAGES --printed` runs those of the coding agents, with a question behind them.
"""

from __future__ import annotations

import json
from shlex import quote


def lines(root: str, model: str, key: str, context: int | None) -> list[tuple[str, str]]:
    """Clients and their lines. `root`: the server's URL without /v1; `context`: tokens that a conversation may have."""
    url = f"{root}/v1"
    return [
        ("OpenAI clients", f"base_url={url} model={quote(model)} api_key={key}"),
        ("Anthropic clients", f"base_url={root} model={quote(model)} api_key={key}"),
        ("Claude Code", _claude(root, model, key)),
        ("Codex", _codex(url, model, key)),
        ("OpenCode", _opencode(url, model, key)),
        ("kimi-code", _kimi(url, model, key, context)),
        ("Open WebUI", f"OPENAI_API_BASE_URL={url} OPENAI_API_KEY={key} ENABLE_OLLAMA_API=false open-webui serve"),
    ]


def _claude(root: str, model: str, key: str) -> str:
    names = f"ANTHROPIC_MODEL={quote(model)} ANTHROPIC_DEFAULT_HAIKU_MODEL={quote(model)}"
    return (
        f"ANTHROPIC_BASE_URL={root} ANTHROPIC_AUTH_TOKEN={key} {names} "
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 claude"
    )


def _codex(url: str, model: str, key: str) -> str:
    provider = f'model_providers.m={{name="m",base_url="{url}",env_key="MOONLET_API_KEY",wire_api="responses"}}'
    return f"MOONLET_API_KEY={key} codex -c model_provider=m -m {quote(model)} -c {quote(provider)}"


def _opencode(url: str, model: str, key: str) -> str:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "moonlet",
        "options": {"baseURL": url, "apiKey": key},
        "models": {model: {}},
    }
    config = {"model": f"moonlet/{model}", "provider": {"moonlet": provider}}
    return f"OPENCODE_CONFIG_CONTENT={quote(json.dumps(config, separators=(',', ':')))} opencode"


def _kimi(url: str, model: str, key: str, context: int | None) -> str:
    room = f"KIMI_MODEL_MAX_CONTEXT_SIZE={context} " if context else ""  # it shortens its conversations to that
    where = f"KIMI_MODEL_PROVIDER_TYPE=openai KIMI_MODEL_BASE_URL={url} KIMI_MODEL_API_KEY={key}"
    return f"KIMI_MODEL_NAME={quote(model)} {where} {room}kimi"
