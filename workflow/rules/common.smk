# The plan that the config makes, where files lie, and what rules share. All else is in scripts/ils/plan/.
import functools
import os
import sys

from snakemake.logging import logger

sys.path.insert(0, str(ROOT / "scripts"))

from ils import paper
from ils.errors import UserError
from ils.plan.artefacts import DIAGRAMS, RANKINGS, Artefacts, caption, metric_of
from ils.plan.entries import DISTILLED
from ils.plan.plan import Plan
from ils.plan.fingerprints import modules_of
from ils.training import devices

try:
    plan = Plan.checked(config)
except UserError as error:
    raise WorkflowError(str(error))

os.environ.setdefault(*devices.LARGE_PAGES)  # jobs inherit it
if workflow.is_main_process:
    logger.info(plan.summary())
    devices.limit_gpus(workflow)

DATA = "results/data/{dataset}.safetensors"
SPLIT = "results/splits/{dataset}/seed{seed}.safetensors"
STUDENTS = "results/students/{batch}/{method}/shard{shard}.safetensors"
TEST_LOGITS = "results/test_logits/{batch}/{method}/shard{shard}.safetensors"
TEMPERATURE = "results/temperatures/{batch}/{method}.json"
SOFT_TARGETS = "results/soft_targets/{batch}/{method}.safetensors"
PREDICTIONS = "results/predictions/{batch}.safetensors"
MODELS = "results/synthetic/{setup}/replicates{first}-{last}.csv"
SUMS = "results/synthetic/{setup}/replicates{first}-{last}.safetensors"
CURVES = "results/curves/{dataset}.safetensors"
# The user's, before the one that the Snakefile names; a module may be given none.
CONFIG_FILES = [*workflow.configfiles, *workflow.overwrite_configfiles]
CONFIG_FILE = Path(CONFIG_FILES[-1]).name if CONFIG_FILES else "another workflow's config"
artefacts = Artefacts(plan, CONFIG_FILE)


wildcard_constraints:
    **plan.wildcards,


def files(pattern, wildcards):
    """The file of each mapping of wildcards."""
    return [pattern.format(**values) for values in wildcards]


def replicates(pattern, setups, name="{}"):
    """The files of all replicates of some setups of the synthetic study, by setup."""
    return {name.format(s): files(pattern, plan.synthetic.replicates(s)) for s in setups}


def own(path):
    """A file of this repository: no module's prefix moves it. Relative, as a clone may move."""
    return local(os.path.relpath(ROOT / path))


@functools.cache
def code(script):
    """The library files that a script uses: an edit to one of them reruns the rule."""
    return [own(path) for path in modules_of(ROOT / "scripts" / script)]


def resources_of(needs):
    """Resources by a function of the wildcards to {gpu, mem_mb, runtime}; a retry asks for more."""
    return {
        "gpu": lambda w: needs(w)["gpu"],
        "mem_mb": lambda w, attempt: attempt * needs(w)["mem_mb"],
        "runtime": lambda w, attempt: attempt * needs(w)["runtime"],
    }


def in_report(path, shown):
    """A file for results/report.html; `shown` says where."""
    place = {"category": shown.category, "subcategory": shown.part, "labels": shown.labels}
    return report(path, caption=f"../report/{shown.caption}.rst", **place)


def figures(shown):
    """The PDF and PNG of {path: where it is shown}; the report shows the PNG."""
    pdfs = [f"results/{path}.pdf" for path in shown]
    return pdfs + [in_report(f"results/{path}.png", place) for path, place in shown.items()]
