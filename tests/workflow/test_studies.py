"""A study in a folder of its own, where another one's tables stand, that fails in its first job."""

import shutil
from pathlib import Path

import yaml

from conftest import Clone


def test_a_study_that_fails_leaves_no_other_studys_tables(finished, tmp_path):
    clone, folder = Clone(tmp_path), tmp_path / "studies/mine"
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.folder / name, folder / name)
    before = {path.relative_to(folder): path.read_bytes() for path in folder.glob("results/**/*.*")}
    shells = {"name": "shells", "source": "table", "options": {"file": "shells.csv", "target": "x"}}
    shells |= {"test": 0.3, "validation": 0.3, "augmentation": {"pad": 0, "flip": False}}
    pair = {"dataset": "shells", "network": "MLP", "recipe": "tables", "hours": 1}
    clone.more_configs = [tmp_path / "mine.yaml"]
    clone.more_configs[0].write_text(
        yaml.safe_dump({"add": {"datasets": [shells], "experiments": [pair]}})
    )
    (tmp_path / "shells.csv").write_text("kind\n1\n")  # in the clone, and without its target
    output = clone.snakemake("all", "--directory", str(folder), "--cores", "1", check=False)
    assert "../../shells.csv: " in output
    assert "tables and figures of another study (small.yaml) are now in results/before" in output
    (aside,) = (folder / "results/before").iterdir()
    for path, content in before.items():
        if path.parts[1] in ("students", "test_logits", "synthetic", "published"):
            assert (folder / path).read_bytes() == content
    for name in ("table3.tex", "claims.csv", "reproduction.tex", "figures/fig12.pdf"):
        assert not (folder / "results" / name).exists()
        assert (aside / name).read_bytes() == before[Path("results", name)]
    assert not (tmp_path / "results").exists()
