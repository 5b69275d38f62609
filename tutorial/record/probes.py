"""What probes say of the library's own SimCLR, from the measured recipes: python -m tutorial.record.probes."""

import json
from pathlib import Path
from statistics import mean

HERE = Path(__file__).parents[1]
FILE = HERE / "data" / "probes.json"
RECIPE, SYSTEMS = "simclr", ("chance", "raw pixels", "untrained", "trained")
MEASURES = ("linear probe, far", "5 neighbours, far")


def measured() -> dict[str, object]:
    """Means over the seeds."""
    runs = json.loads((HERE.parent / "benchmarks" / "recipes.json").read_text(encoding="utf-8"))
    cards = [run["card"]["scores"] for run in runs if run["recipe"] == RECIPE]

    def of(measure: str, system: str) -> float:
        return float(
            mean(s["value"] for scores in cards for s in scores if (s["measure"], s["system"]) == (measure, system))
        )

    found = {measure: [round(of(measure, system), 6) for system in SYSTEMS] for measure in MEASURES}
    return {"recipe": RECIPE, "systems": SYSTEMS, "seeds": len(cards), **found}


if __name__ == "__main__":
    FILE.write_text(json.dumps(measured(), indent=2) + "\n", encoding="utf-8")
