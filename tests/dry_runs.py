"""Snakemake's dry runs for the price of importing it once: each is a fork of one process, which
starts with the first and ends with the tests."""

import functools
import json
import os
import subprocess
import sys
import tempfile


@functools.cache
def server():
    """The process that forks; it ends when this one's end of the pipe does."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, __file__], start_new_session=True, **pipes)


def dry_run(folder, environment, arguments):
    """Run Snakemake in a folder; returns its exit code and what it says."""
    with tempfile.NamedTemporaryFile("r") as output:
        request = json.dumps([str(folder), environment, output.name, arguments])
        print(request, file=server().stdin, flush=True)
        return int(server().stdout.readline()), output.read()


def serve():
    """Answer each request, a line, with the exit code of a fork."""
    from snakemake.cli import get_argument_parser, main

    get_argument_parser()  # which imports the plugins
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(*json.loads(line))
            main()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(folder, environment, output, arguments):
    """Make this process one that `python -m snakemake` would have started in a folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    written = os.open(output, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(written, stream.fileno())
    sys.path[0], sys.argv = "", ["snakemake", *arguments]


if __name__ == "__main__":
    serve()
