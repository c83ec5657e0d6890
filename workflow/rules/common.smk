# The plan that the config makes, and what rules share. All else is in scripts/ils/plan/.
import os

from snakemake.common.configfile import load_configfile
from snakemake.logging import logger
from snakemake.utils import update_config

from ils import paper
from ils.errors import UserError
from ils.plan import studies
from ils.plan.additions import adding
from ils.plan.artefacts import RANKINGS, Artefacts
from ils.plan.entries import DISTILLED
from ils.plan.fingerprints import modules_of, uses
from ils.plan.paths import *
from ils.plan.plan import Plan
from ils.training import devices

# What a module's config leaves out is the default's, as with --configfile.
if workflow.modifier.skip_configfile:
    default = load_configfile(ROOT / "config/config.yaml")
    update_config(default, config)
    config = default
elif "add" in config:  # the merge of several --configfile keeps the last one's
    given = [load_configfile(path) for path in workflow.overwrite_configfiles]
    config = adding(config, [*given, workflow.config_settings.config])

try:
    plan = Plan.checked(config)
except UserError as error:
    raise WorkflowError(str(error))
config = plan.config  # with what it adds

# The user's config, before the one that the Snakefile names; a module may be given none.
CONFIG_FILES = [*workflow.configfiles, *workflow.overwrite_configfiles]
CONFIG_FILE = os.path.basename((CONFIG_FILES or ["another workflow's config"])[-1])
artefacts = Artefacts(plan, CONFIG_FILE)

os.environ.setdefault(*devices.LARGE_PAGES)  # jobs inherit it
if workflow.is_main_process:
    logger.info(plan.summary())
    devices.limit_gpus(workflow)


wildcard_constraints:
    **plan.wildcards,


def own(path):
    """A file of this repository: no module's prefix moves it. Relative, as a clone may move."""
    return local(os.path.relpath(ROOT / path))


def code(script):
    """The library files that a script uses: an edit to one of them reruns the rule."""
    return [own(path) for path in modules_of(ROOT / "scripts" / script)]


def in_report(path, shown):
    """A file, and where results/report.html shows it; None: not there."""
    return report(path, **shown.arguments) if shown else path
