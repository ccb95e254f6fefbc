"""A server of few lines, of the older revision, that floods whoever calls it: `line` without end, or `messages`."""

import json
import os
import sys

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("line", "messages", "echo")]
NOTE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"hi"}}\n' * 100
ANSWERS = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "flood", "version": "1"},
    },
    "tools/list": {"tools": TOOLS},
    "ping": {},
}

for text in sys.stdin:
    message = json.loads(text)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "tools/call" and message["params"]["name"] != "echo":
        piece = b"x" * 65536 if message["params"]["name"] == "line" else NOTE
        while True:
            os.write(1, piece)
            os.write(2, b"y" * 1000)
    elif message["method"] == "tools/call":
        answer["result"] = {"content": [{"type": "text", "text": "here"}]}
    elif message["method"] in ANSWERS:
        answer["result"] = ANSWERS[message["method"]]
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
