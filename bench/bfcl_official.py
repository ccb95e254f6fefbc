"""Runs in the environment of bfcl-eval, not in ours: its questions out, its verdicts back. See bench/bfcl.py.

python bench/bfcl_official.py questions CATEGORY       each question as a line of JSON: id, messages, tools
python bench/bfcl_official.py check CATEGORY < CALLS   {"id", "calls": [{NAME: {}}]} a line -> {"id", "valid", "error"}
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any


def main(task: str, category: str) -> None:
    # The checker looks one property of a model up in a table whose import needs the clients of twenty vendors.
    table: Any = types.ModuleType("bfcl_eval.constants.model_config")
    table.MODEL_CONFIG_MAPPING = {"moonlet": types.SimpleNamespace(underscore_to_dot=True)}
    sys.modules[table.__name__] = table
    import bfcl_eval
    from bfcl_eval.constants.enums import Language, ModelStyle
    from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
    from bfcl_eval.model_handler.utils import convert_to_tool

    data = Path(bfcl_eval.__file__).parent / "data"
    asked = {one["id"]: one for one in read(data / f"BFCL_v4_{category}.json")}
    if task == "questions":
        for one in asked.values():
            tools = convert_to_tool(one["function"], GORILLA_TO_OPENAPI, ModelStyle.OPENAI_COMPLETIONS)
            print(json.dumps({"id": one["id"], "messages": one["question"][0], "tools": tools}))
        return
    right = {one["id"]: one["ground_truth"] for one in read(data / "possible_answer" / f"BFCL_v4_{category}.json")}
    for line in sys.stdin:
        made = json.loads(line)
        one = asked[made["id"]]
        try:
            told = ast_checker(
                one["function"], made["calls"], right[made["id"]], Language.PYTHON, category, model_name="moonlet"
            )
        except Exception as error:  # a value that the checker does not expect is a wrong one
            told = {"valid": False, "error_type": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": made["id"], "valid": told["valid"], "error": told.get("error_type", "")}))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main(*sys.argv[1:])
