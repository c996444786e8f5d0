"""Which lines do the tests run, in whatever process?

The tests run in a virtual environment of their own, where every interpreter starts measuring by itself: a
process behind a scrubbed environment and another user's child too, and the ordinary environment pays nothing.
What is lost are the lines of processes that SIGKILL or an unhandled signal ends.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, TypedDict

import coverage

from dev.paths import CHECKOUT

__all__ = ["Lines", "lost_lines", "main"]

_VENV: Final = CHECKOUT / ".tools/venv-coverage"
_FOLDER: Final = CHECKOUT / "var/coverage"
_CONFIGURATION: Final = CHECKOUT / "pyproject.toml"
_DATA: Final = _FOLDER / "data/lines"
_LINES: Final = _FOLDER / "lines.json"

# Read by every interpreter of the environment before anything else; gone from its environment afterwards.
_AT_START: Final = (
    "import os, coverage; os.environ.update({wanted!r}); coverage.process_startup(); "
    "[os.environ.pop(name) for name in {wanted!r}]\n"
)


class Lines(TypedDict):
    """What was run of a file."""

    source: list[str]
    """The file's lines as they were."""
    covered: list[int]
    """Numbers of the lines that ran, from 1."""
    missing: list[int]
    """Numbers of those that did not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run tests and report, or compare two reports; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dev.coverage")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    run = commands.add_parser("run", help="run tests and report the lines that they run in var/coverage")
    run.add_argument("pytest", nargs="*", help="arguments of pytest, after --")
    compare = commands.add_parser("compare", help="list the lines that ran before and do not run any more")
    compare.add_argument("before", type=Path, help="a lines.json")
    compare.add_argument("after", type=Path, nargs="?", default=_LINES, help="default: %(default)s")
    parsed = parser.parse_args(arguments)
    if parsed.command == "compare":
        return _compare(json.loads(parsed.before.read_text()), json.loads(parsed.after.read_text()))
    return _run(parsed.pytest)


def lost_lines(before: Lines, after: Lines) -> list[int]:
    """Return the lines, as numbered before, that ran then and now don't, ascending.

    Lines that were changed or removed are in neither.
    """
    matcher = SequenceMatcher(None, before["source"], after["source"], autojunk=False)
    now = {
        block.a + offset + 1: block.b + offset + 1
        for block in matcher.get_matching_blocks()
        for offset in range(block.size)
    }
    missing = set(after["missing"])
    return [line for line in before["covered"] if now.get(line) in missing]


def _run(pytest: Sequence[str]) -> int:
    _prepare()
    tests = subprocess.run([_VENV / "bin/python", "-m", "pytest", *pytest], cwd=CHECKOUT, check=False)
    _report()
    return tests.returncode


def _prepare() -> None:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _DATA.parent.mkdir(parents=True)
    _DATA.parent.chmod(0o1777)  # processes of the stack run as nobody where root runs the tests
    packages = next((_VENV / "lib").glob("python*/site-packages"))
    wanted = {"COVERAGE_PROCESS_START": str(_CONFIGURATION), "COVERAGE_FILE": str(_DATA)}
    # Named to come after the one that puts the checkout on the path.
    (packages / "zz_coverage.pth").write_text(_AT_START.format(wanted=wanted))


def _report() -> None:
    measured = coverage.Coverage(data_file=_DATA, config_file=str(_CONFIGURATION), messages=False)
    measured.combine()
    measured.save()
    measured.html_report(directory=str(_FOLDER / "html"))
    report = _FOLDER / "report.json"
    measured.json_report(outfile=str(report))
    found = json.loads(report.read_text())
    lines = {
        name: Lines(
            source=(CHECKOUT / name).read_text().splitlines(),
            covered=file["executed_lines"],
            missing=file["missing_lines"],
        )
        for name, file in found["files"].items()
    }
    _LINES.write_text(json.dumps(lines))
    totals = found["totals"]
    print(f"coverage: report in {_FOLDER.relative_to(CHECKOUT)}/html/index.html, of all the code")
    print(
        f"coverage: lines={totals['num_statements']} covered={totals['covered_lines']} "
        f"percent={totals['percent_covered']:.2f}"
    )


def _compare(before: dict[str, Lines], after: dict[str, Lines]) -> int:
    lost = 0
    for name, lines in sorted(before.items()):
        if name not in after:
            print(f"{name}: gone ({len(lines['covered'])} lines ran)")
            continue
        for line in lost_lines(lines, after[name]):
            lost += 1
            print(f"{name}:{line}: {lines['source'][line - 1].strip()}")
    for word, report in (("before", before), ("after", after)):
        print(f"coverage {word}: {_total(report)}")
    print(f"coverage: {lost} lines ran before and do not run any more")
    return 1 if lost else 0


def _total(report: dict[str, Lines]) -> str:
    covered, missing = (sum(counts) for counts in zip(*_counts(report), strict=True))
    return f"lines={covered + missing} covered={covered} percent={100 * covered / (covered + missing):.2f}"


def _counts(report: dict[str, Lines]) -> Iterator[tuple[int, int]]:
    return ((len(lines["covered"]), len(lines["missing"])) for lines in report.values())


if __name__ == "__main__":
    sys.exit(main())
