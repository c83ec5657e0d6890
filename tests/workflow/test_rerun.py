"""What runs again after an edit, by dry runs of the default study on nine pairs, whose results are
empty files.

As the table of config/YOUR_OWN.md says: an edit trains what it changes and who learns from that,
whole rounds of methods or each by itself, and whatever comes after the students' logits trains
nothing.
"""

import contextlib
import re
from pathlib import Path

import pytest
import yaml

from conftest import Clone

EXPENSIVE = "Training|Distilling|Making soft targets|Synthetic study"
ALL = "digits_LeNet_and_8_more"  # the batch of a seed's nine pairs
BOTH = f"{ALL}_seed0", f"{ALL}_seed1"
TEACHING = "digits_ResNet8_and_1_more_seed2"  # distillation has one seed more
DISTILLED = {f"Distilling students: {b}_distilled" for b in ("digits_ResNet8", "breast_cancer_MLP")}


def taken_for_done(folder, **settings):
    """A clone in which Snakemake takes the default study, with other settings, for done."""
    clone = Clone(folder)
    clone.config = clone.folder / "config/config.yaml"
    pairs = yaml.safe_load((Path(__file__).parents[1] / "nine_pairs.yaml").read_text())
    del pairs["synthetic"]
    clone.edit_config(lambda config: config.update(pairs | settings))
    for line in clone.snakemake("--summary", "all").splitlines():
        if line.startswith("results/"):
            path = clone.folder / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    clone.snakemake("--touch", "--forceall", "--cores", "1", "all")
    output = clone.snakemake("--dry-run", "--cores", "1", "all")
    assert "Nothing to be done" in output and "missing provenance" not in output
    return clone


@contextlib.contextmanager
def put_back(clone):
    """A clone whose code and config are put back in the end."""
    paths = clone.config, *clone.folder.glob("scripts/**/*.py")
    contents = {path: path.read_bytes() for path in paths}
    yield clone
    for path in clone.folder.glob("scripts/**/*.py"):
        if path not in contents:
            path.unlink()
    for path, content in contents.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    return taken_for_done(tmp_path_factory.mktemp("by_round"))


@pytest.fixture
def touched(default):
    """The default study, which trains rounds of methods; put back after the test."""
    with put_back(default):
        yield default


@pytest.fixture(scope="module")
def default_by_method(tmp_path_factory):
    return taken_for_done(tmp_path_factory.mktemp("by_method"), trained_together="method")


@pytest.fixture
def by_method(default_by_method):
    """The same study, which trains each method by itself, as the paper's; put back, too."""
    with put_back(default_by_method):
        yield default_by_method


def trained(messages):
    """The jobs that train, prepare training or repeat the synthetic study."""
    return {message for message in messages if re.match(EXPENSIVE, message)}


def training(rounds, batches, teachers=None):
    """The jobs that train rounds in batches, after the round of `teachers` of their own."""
    jobs = {f"Training {name} students, shard 0: {batch}" for name in rounds for batch in batches}
    if teachers:
        jobs |= {f"Training the teachers, {teachers}, shard 0: {batch}" for batch in batches}
        jobs |= soft_targets(["no_ls"], batches)
    return jobs


def both_rounds(batches):
    """The jobs that train all of batches by rounds."""
    return training(["round2"], batches, teachers="round1")


def soft_targets(methods, batches):
    """The jobs that make soft targets by methods' teachers."""
    return {f"Making soft targets of {m} teachers: {batch}" for m in methods for batch in batches}


def setting(**values):
    """An edit of keys at the config's top."""
    return lambda config: config.update(values)


def column_less(config):
    config["methods"][0]["calibrators"] = {}


def other_bounds(config):
    config["calibrators"][0]["options"] = {"bounds": [0.4, 6.0]}


def one_more_epsilon(config):
    """In the grid of `ls`, from which beta inherits and distillation's students learn."""
    config["methods"][5]["grid"]["epsilon"].append(0.3)


def one_more_temperature(config):
    config["methods"][7]["grid"]["temperature"].append(6)


def one_more_of_ils(config):
    """Distillation's students learn from it."""
    config["methods"][8]["grid"]["temperature"].append(6)


def one_more_beta(config):
    config["methods"][2]["grid"]["beta"].append(0.5)


def others_at_once(config):
    for network in config["networks"]:
        network["students_at_once"] = {"cpu": 2, "cuda": 3}


def one_more_dataset(config):
    entry = {"name": "flowers", "source": "sklearn", "options": {"set": "iris"}}
    config["datasets"].append(config["datasets"][2] | entry)
    config["experiments"].append({"dataset": "flowers", "network": "MLP", "recipe": "tables"})


def one_more_seed(config):
    config["seeds"].append(7)


def one_pair_less(config):
    config["experiments"].pop()


def changed_by(edit, clone):
    """The messages of the jobs that an edit of the config reruns, which is then taken back."""
    before = clone.config.read_bytes()
    clone.edit_config(edit)
    messages = clone.messages("all")
    clone.config.write_bytes(before)
    return messages


SELECTING = {f"Selecting and testing the students of all methods: {batch}" for batch in BOTH}
METRICS = {"Computing the metrics of every cell"}
RANKS = {"Ranking the methods and testing whether they differ"}


def with_another_function(clone, module):
    path = clone.folder / "scripts/ils" / module
    path.write_text(f"{path.read_text()}\n\ndef twice(x):\n    return 2 * x\n")


@pytest.mark.parametrize(
    "edit, reruns",
    [
        (other_bounds, SELECTING),
        (setting(alpha=0.1), RANKS),
        (setting(label_draws=500), METRICS),
        (setting(checkpoint_minutes=1), {"Writing down what ran"}),
        (column_less, SELECTING),
    ],
    ids=["bounds", "alpha", "label_draws", "checkpoint_minutes", "calibrators"],
)
def test_a_setting_of_the_analysis_trains_nothing(edit, reruns, touched):
    touched.edit_config(edit)
    messages = touched.messages("all")
    assert reruns <= set(messages) and not trained(messages)


def test_how_many_students_train_at_once_reruns_no_job_of_the_study(touched):
    provenance = set(changed_by(setting(checkpoint_minutes=1), touched))
    assert set(changed_by(others_at_once, touched)) == provenance
    assert "Writing down what ran" in provenance and not trained(provenance)


@pytest.mark.parametrize(
    "module, reruns",
    [
        ("statistics/ranks.py", RANKS),
        ("statistics/claims.py", {"Checking the paper's claims"}),
        ("figures/style.py", {"Drawing the figures of the synthetic study"}),
        ("document/latex.py", {"Writing the document of all tables and figures"}),
    ],
)
def test_code_of_the_analysis_trains_nothing(module, reruns, touched):
    with_another_function(touched, module)
    messages = touched.messages("all")
    assert reruns <= set(messages) and not trained(messages)


@pytest.mark.parametrize("module", ["metrics", "selection", "temperature"])
def test_one_more_function_of_the_evaluation_reruns_nothing(module, touched):
    with_another_function(touched, f"evaluation/{module}.py")
    assert not touched.messages("all")


@pytest.mark.parametrize(
    "module, old, new, reruns",
    [
        ("noise", "value - np.quantile(noise[name], 0.95)", "value", METRICS),
        (
            "reliability",
            "bin_index(",
            "bin_index(1 * ",
            {"Drawing the reliability diagrams of every pair"},
        ),
    ],
)
def test_an_edit_of_the_evaluation_trains_nothing(module, old, new, reruns, touched):
    path = touched.folder / f"scripts/ils/evaluation/{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    messages = touched.messages("all")
    assert reruns <= set(messages) and not trained(messages)


@pytest.mark.parametrize(
    "old, module", [("binned(bin_index(confidence)", "metrics"), ("ce.argmin()", "selection")]
)
def test_an_edit_of_metrics_or_selection_trains_no_students(old, module, touched):
    """The synthetic study's jobs select and test the networks that they train."""
    path = touched.folder / f"scripts/ils/evaluation/{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, f"1 * {old}"))
    messages = touched.messages("all")
    assert {"metrics": METRICS, "selection": SELECTING}[module] <= set(messages)
    assert all(re.match("Synthetic study|.* best-epsilon curves$", m) for m in trained(messages))


def one_more_metric(config):
    config["metrics"].append({"name": "brier"})


def test_one_more_metric_trains_nothing(touched):
    messages = changed_by(one_more_metric, touched)
    drawn = {"Drawing the critical-difference diagrams of this study's own metrics"}
    assert SELECTING | METRICS | RANKS | drawn <= set(messages) and not trained(messages)


def test_a_metric_that_the_config_does_not_name_reruns_nothing(touched):
    path = touched.folder / "scripts/ils/evaluation/metrics.py"
    text = path.read_text()
    assert "2 * true_class" in text
    path.write_text(text.replace("2 * true_class", "3 * true_class"))
    assert not touched.messages("all")


def test_what_is_said_of_a_metric_tests_no_student_again(touched):
    path = touched.folder / "scripts/ils/evaluation/metrics.py"
    text = path.read_text()
    assert 'title="ECE"' in text
    path.write_text(text.replace('title="ECE"', 'title="binned ECE"'))
    messages = set(touched.messages("all"))
    assert METRICS | RANKS | {"Checking the paper's claims"} <= messages
    assert not trained(messages) and not SELECTING & messages


ALL_BUT_THE_TEACHER = "dis", "cls", "bs_soft", "beta", "ls", "ils1", "ils2", "ils"
EIGHT = [f"digits_LeNet_and_7_more_seed{seed}" for seed in (0, 1)]
CANCER = [f"breast_cancer_MLP_seed{seed}" for seed in (0, 1)]
FLOWERS = [f"flowers_MLP_seed{seed}" for seed in (0, 1)]
SEVEN = [f"{ALL}_seed7"]
TAUGHT = [*BOTH, TEACHING]  # all from whom distillation's students learn


@pytest.mark.parametrize(
    "edit, jobs",
    [
        # The first round is one network: its other methods train again, and so who needs any.
        (
            one_more_epsilon,
            both_rounds(TAUGHT) | soft_targets(["ls", "ils"], TAUGHT) | DISTILLED,
        ),
        (
            one_more_beta,
            both_rounds(BOTH) | soft_targets(["ls", "ils"], BOTH) | DISTILLED,
        ),
        (
            one_more_temperature,
            training(["round2"], BOTH) | soft_targets(["ils"], BOTH) | DISTILLED,
        ),
        (
            one_more_of_ils,
            training(["round2"], TAUGHT) | soft_targets(["ils"], TAUGHT) | DISTILLED,
        ),
        (one_more_dataset, both_rounds(FLOWERS)),
        (one_more_seed, both_rounds(SEVEN)),
        # The pair's cells leave their batches, are still needed to teach, and get one of their own.
        (
            one_pair_less,
            both_rounds([*EIGHT, *CANCER])
            | soft_targets(["ls", "ils"], [*EIGHT, *CANCER])
            | DISTILLED,
        ),
    ],
)
def test_an_entry_trains_the_rounds_that_it_changes_and_who_learns_from_them(edit, jobs, touched):
    assert trained(changed_by(edit, touched)) == jobs


@pytest.mark.parametrize(
    "edit, jobs",
    [
        (
            one_more_epsilon,
            training(["ls"], TAUGHT)
            | training(["beta"], BOTH)
            | soft_targets(["ls"], TAUGHT)
            | DISTILLED,
        ),
        (one_more_temperature, training(["ils2"], BOTH)),
        (one_more_beta, training(["cls"], BOTH)),
        (others_at_once, set()),
        (one_more_dataset, training(ALL_BUT_THE_TEACHER, FLOWERS, teachers="no_ls")),
        (one_more_seed, training(ALL_BUT_THE_TEACHER, SEVEN, teachers="no_ls")),
        (
            one_pair_less,
            training(ALL_BUT_THE_TEACHER, EIGHT, teachers="no_ls")
            | training(["ls", "ils"], CANCER, teachers="no_ls")
            | soft_targets(["ls", "ils"], [*EIGHT, *CANCER])
            | DISTILLED,
        ),
    ],
)
def test_by_method_an_entry_trains_what_it_changes_and_who_learns_from_it(edit, jobs, by_method):
    assert trained(changed_by(edit, by_method)) == jobs
