# Where this repository lies, which rules and scripts read their library from: around this file, or in a clone of it, where
# another workflow names it at GitHub or GitLab, as `snakedeploy deploy-workflow` does.
import os
import shlex
import sys


def clone(source, folder):
    """Check out the tag, branch or commit that a hosted file is of. Files that it does not change keep their time."""
    import git

    source.fetch_if_required()
    here = git.Repo.init(folder).git
    here.fetch("--quiet", source.hosted_repo.repo_clone, source.ref)
    here.checkout("--quiet", "--detach", "FETCH_HEAD")


if workflow.current_basedir.is_local:
    ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
else:
    ROOT = Path(".snakemake/modules", __name__).absolute()
    if workflow.is_main_process or not ROOT.exists():
        clone(workflow.current_basedir, ROOT)

sys.path.insert(0, str(ROOT / "scripts"))

# Snakemake puts it unquoted into the shell commands of its jobs (its issue 2645), and a clone's path may have spaces.
if os.path.exists(sys.executable):  # and is not quoted yet
    sys.executable = shlex.quote(sys.executable)
