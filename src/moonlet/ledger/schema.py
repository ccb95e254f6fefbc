"""The tables, as numbered steps. A step that was released is never changed; what must differ is a new step.

Times are seconds since 1970, days are UTC, money is in billionths of a dollar (nano_usd), in types that SQLite and
PostgreSQL read alike. NULL means unknown, or in a key's limits: none.
"""

from __future__ import annotations

from collections.abc import Mapping

_KEYS = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    expires DOUBLE PRECISION,
    revoked DOUBLE PRECISION,
    weight DOUBLE PRECISION NOT NULL,
    priority TEXT NOT NULL,
    tokens_per_minute BIGINT,
    tokens_per_day BIGINT,
    tokens_per_month BIGINT,
    concurrent BIGINT,
    nano_usd_per_month BIGINT
)"""

# A row is opened when its request is admitted. charged_* is what it counts for in quotas at this moment: its
# reservation while it runs, what it took afterwards.
_REQUESTS = """
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    server BIGINT NOT NULL,
    started DOUBLE PRECISION NOT NULL,
    ended DOUBLE PRECISION,
    day TEXT NOT NULL,
    key_id TEXT,
    key_name TEXT,
    owner TEXT,
    api TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    prompt_tokens BIGINT,
    cached_tokens BIGINT,
    output_tokens BIGINT,
    thinking_tokens BIGINT,
    queue_s DOUBLE PRECISION,
    prefill_s DOUBLE PRECISION,
    decode_s DOUBLE PRECISION,
    expert_hits BIGINT,
    expert_reads BIGINT,
    bytes_read BIGINT,
    joules DOUBLE PRECISION,
    joules_from TEXT,
    nano_usd BIGINT,
    price TEXT,
    charged_tokens BIGINT NOT NULL,
    charged_nano_usd BIGINT NOT NULL
)"""

# What a key has used of a day (2026-11-28) or month (2026-11): the sum of charged_* of the rows that began in it. It
# outlives the rows, so that deleting old ones gives nobody a second month.
_SPENT = """
CREATE TABLE spent (
    key_id TEXT NOT NULL,
    period TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    nano_usd BIGINT NOT NULL,
    PRIMARY KEY (key_id, period)
)"""

# What was asked, word for word; only with `moonlet serve --keep-prompts`.
_PROMPTS = "CREATE TABLE prompts (request_id TEXT PRIMARY KEY, asked TEXT NOT NULL)"

# Responses that later requests may go on from, for a day; only with `moonlet serve --keep-prompts`.
_KEPT = """
CREATE TABLE IF NOT EXISTS kept_responses (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    born DOUBLE PRECISION NOT NULL,
    response TEXT NOT NULL,
    messages TEXT NOT NULL,
    items TEXT NOT NULL,
    PRIMARY KEY (owner, id)
)"""

MIGRATIONS: Mapping[int, tuple[str, ...]] = {
    1: (
        _KEYS,
        _REQUESTS,
        _SPENT,
        _PROMPTS,
        "CREATE INDEX requests_started ON requests (started)",
        "CREATE INDEX requests_of_key ON requests (key_id, started)",
        "CREATE INDEX requests_running ON requests (key_id) WHERE state = 'running'",
    ),
    2: (  # which of several engines answered, and whether it was rented for it (1) or not (0)
        "ALTER TABLE requests ADD COLUMN engine TEXT",
        "ALTER TABLE requests ADD COLUMN overflow BIGINT",
    ),
    3: (_KEPT,),
}
