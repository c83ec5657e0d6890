"""Several studies: one that fails where another one's tables stand, and one in its own folder."""

import yaml

from conftest import Clone


def add_shells(clone):
    """Let a clone's study have one more dataset, a damaged table in the clone."""
    shells = {"name": "shells", "source": "table", "options": {"file": "shells.csv", "target": "x"}}
    shells |= {"test": 0.3, "validation": 0.3, "augmentation": {"pad": 0, "flip": False}}
    pair = {"dataset": "shells", "network": "MLP", "recipe": "tables", "hours": 1}
    clone.more_configs = [clone.folder / "shells.yaml"]
    added = yaml.safe_dump({"add": {"datasets": [shells], "experiments": [pair]}})
    clone.more_configs[0].write_text(added)
    (clone.folder / "shells.csv").write_text("kind\n1\n")


def test_a_study_that_fails_leaves_no_other_studys_tables(finished, tmp_path):
    clone = Clone(tmp_path, finished.folder, [path.name for path in finished.folder.iterdir()])
    add_shells(clone)
    results = tmp_path / "results"
    before = {path: path.read_bytes() for path in results.glob("**/*.*") if path.is_file()}
    output = clone.snakemake("all", "--cores", "1", check=False)
    assert "shells.csv: " in output
    assert "tables and figures of another study (small.yaml) are now in results/before" in output
    (aside,) = (results / "before").iterdir()
    for path, content in before.items():
        if path.relative_to(results).parts[0] in ("students", "test_logits", "synthetic"):
            assert path.read_bytes() == content
    for name in ("table3.tex", "claims.csv", "reproduction.tex", "figures/forest.pdf"):
        assert not (results / name).exists()
        assert (aside / name).read_bytes() == before[results / name]


def test_in_a_folder_of_its_own_a_study_finds_the_clones_files(tmp_path):
    clone = Clone(tmp_path)
    add_shells(clone)
    own = "--directory", str(tmp_path / "studies/mine")
    target = "results/data/shells.safetensors"
    output = clone.snakemake(target, "--cores", "1", *own, check=False)
    assert "../../shells.csv: " in output
    assert (tmp_path / "studies/mine/results").is_dir() and not (tmp_path / "results").exists()
