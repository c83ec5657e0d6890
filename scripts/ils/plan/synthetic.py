"""What the config makes of the synthetic study: its setups, the jobs of their replicates, and what
these are told."""

from collections.abc import Iterable
from typing import Any

from ils.plan.entries import Config, by_name
from ils.plan.fingerprints import fingerprint, uses
from ils.plan.grids import count_points
from ils.plan.metrics import REQUIRED
from ils.plan.paths import files

SIZES = ("seed", "training_per_class", "validation_per_class", "test_per_class")


class SyntheticPlan:
    """The synthetic section of a config."""

    numbers = ("1", "2", "5", "6")  # of the paper's tables that it is compared with

    def __init__(self, section: Config):
        self.section = section
        self.setups = by_name(section, "setups")
        self.geometries = by_name(section, "geometries")

    @property
    def datasets(self) -> list[str]:
        """Real tables whose best-epsilon curves are drawn."""
        return self.section["tabular"]["datasets"]

    @property
    def tables(self) -> list[str]:
        """The setups that are compared with the printed tables."""
        return self.section["tables"]

    @property
    def others(self) -> dict[str, list[str]]:
        """{setup of `tables`: those that differ from it in the validation data alone}."""
        kept = {
            name: [setup["geometry"], setup["hidden"], setup.get("training_per_class")]
            for name, setup in self.setups.items()
        }
        larger = [name for name in self.setups if "validation_per_class" in self.setups[name]]
        return {t: [name for name in larger if kept[name] == kept[t]] for t in self.tables}

    @property
    def shown(self) -> str:
        """The setup that most figures show."""
        return self.section["figures"]

    def findings(self) -> dict[str, Any]:
        """What the document's sentences on the study are told."""
        long_grid = self.section["long_grid"]
        about = {"setups": list(self.setups), "shown": self.shown, "long_grid": long_grid}
        return about | {"tables": [f"table{n}" for n in self.numbers]}

    def replicates(self, setup: str) -> list[dict[str, Any]]:
        """The wildcards of all jobs of a setup."""
        step = self.section["replicates_per_job"]
        count = self.setups[setup].get("replicates", self.section["replicates"])
        return [
            {"setup": setup, "first": first, "last": min(first + step, count) - 1}
            for first in range(0, count, step)
        ]

    def files(self, pattern: str, setups: Iterable[str], name: str = "{}") -> dict[str, list[str]]:
        """The files of all replicates, by setup, under names such as "arrays_{}"."""
        return {name.format(setup): files(pattern, self.replicates(setup)) for setup in setups}

    def setup(self, name: str) -> dict[str, Any]:
        """A setup with its geometry in place of the geometry's name."""
        setup = self.setups[name]
        return setup | {"geometry": self.geometries[setup["geometry"]]}

    def methods(self, setup: str) -> list[dict[str, Any]]:
        """The entries of the methods of a setup."""
        names = self.setups[setup]["methods"]
        return [method for method in self.section["methods"] if method["name"] in names]

    def options(self, setup: str) -> dict[str, Any]:
        """What decides a replicate beside its setup and methods, the targets' code included."""
        options = {key: self.section[key] for key in (*SIZES, "temperature_bounds", "training")}
        if self.setups[setup].get("long_grid"):
            options["long_grid"] = self.section["long_grid"]
        targets = {method["targets"] for method in self.methods(setup)} | {"ils1"}
        code = fingerprint("method", *sorted(targets)) + fingerprint("metric", *REQUIRED)
        return options | {"code": code + uses("synthetic_replicates.py")}

    def urgency(self, setup: str) -> float:
        """The priority of a setup: what its students' layers add up to, on the scale of a grid's
        students."""
        grids = [method["grid"] for method in self.methods(setup)]
        grids += [self.section["long_grid"]] if self.setups[setup].get("long_grid") else []
        return sum(map(count_points, grids)) * len(self.setups[setup]["hidden"]) / 100

    def curves(self) -> dict[str, Any]:
        """What decides the best-epsilon curves of a real table."""
        methods = [m for m in self.section["methods"] if m["targets"] in ("no_ls", "ls")]
        options = {key: self.section[key] for key in ("temperature_bounds", "training")}
        code = fingerprint("method", "no_ls", "ls") + uses("tabular_curves.py")
        options |= self.section["tabular"] | {"code": code}
        return {"methods": methods, "options": options}

    def figures(self) -> dict[str, Any]:
        """What the figures show: which setup and geometries, and the sizes of a replicate."""
        return {
            "shown": self.shown,
            "geometry": self.setup(self.shown)["geometry"],
            "other_geometry": self.geometries[self.section["figure5"]],
            "long_grid": self.section["long_grid"],
            "sizes": {key: self.section[key] for key in SIZES},
        }
