"""docs/training/nano.svg from docs/training/nano.csv: python runs/nano_curve.py"""

import csv
from pathlib import Path

from moonlet.train.curves import Line, picture

PLACE = Path(__file__).parent.parent / "docs" / "training"
FROM = 300  # before it the loss on the GPU is above what the panel shows


def main() -> None:
    rows = list(csv.DictReader((PLACE / "nano.csv").open()))

    def line(name: str, on: str, column: str, times: float = 1) -> Line:
        found = [row for row in rows if row["on"] == on and (on != "gpu" or int(row["step"]) >= FROM)]
        return Line(name, [(float(row["step"]), times * float(row[column])) for row in found])

    later = [("the ninth version", "processor"), ("the tenth, from the ninth on", "processor again")]
    later += [("the eleventh, from the tenth on", "processor a third time")]
    panels = {
        f"loss on one GPU, steps of 131,072 tokens, from {FROM} on": [line("from nothing", "gpu", "loss")],
        "loss on a processor, steps of 16,384 tokens": [line(name, on, "loss") for name, on in later],
        "rate on one GPU, thousandths": [line("from nothing", "gpu", "lr", 1000)],
        "rate on a processor, thousandths": [line(name, on, "lr", 1000) for name, on in later],
    }
    (PLACE / "nano.svg").write_text(
        picture(panels, ["the ninth version", "the tenth, from it on", "the eleventh"]), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
