"""Are the tests that break a safeguard on purpose those that docs/testing.md names?"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from dev.paths import CHECKOUT

_ROW = re.compile(
    r"^\| (?P<test>tests/\S+) \| (?P<safeguard>[^|]+) \| [^|]+ \| (?P<cases>\d+) \|$", re.MULTILINE
)


class Mutation(NamedTuple):
    test: str
    safeguard: str
    cases: int


def test_each_is_in_the_table_and_the_table_names_no_other() -> None:
    rows = _ROW.finditer((CHECKOUT / "docs/testing.md").read_text())
    named = {Mutation(row["test"], row["safeguard"], int(row["cases"])) for row in rows}
    marked = {
        mutation
        for path in sorted(CHECKOUT.glob("tests/**/test_*.py"))
        for mutation in _mutations(path.read_text(), str(path.relative_to(CHECKOUT)))
    }
    assert marked == named


def test_marks_are_read_with_their_cases() -> None:
    code = """
CASES = {"a": 1, "b": 2}

@pytest.mark.mutation("lock")
def test_alone(): pass

@pytest.mark.mutation("rules")
@pytest.mark.parametrize("x", CASES)
@pytest.mark.parametrize("y", [1, 2, 3])
async def test_every_case(x, y): pass

@pytest.mark.parametrize("x", [pytest.param(1), pytest.param(2, marks=pytest.mark.mutation("gate"))])
def test_one_of_its_cases(x): pass

@pytest.mark.parametrize("x", [1, 2])
def test_no_mutation(x): pass
"""
    assert list(_mutations(code, "t.py")) == [
        Mutation("t.py::test_alone", "lock", 1),
        Mutation("t.py::test_every_case", "rules", 6),
        Mutation("t.py::test_one_of_its_cases", "gate", 1),
    ]


def _mutations(code: str, file: str) -> Iterator[Mutation]:
    module = ast.parse(code)
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for test in module.body:
        if not isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        name = f"{file}::{test.name}"
        whole = {safeguard for mark in test.decorator_list if (safeguard := _safeguard(mark))}
        for safeguard in whole:
            cases = math.prod(_cases(mark, constants) for mark in test.decorator_list)
            yield Mutation(name, safeguard, cases)
        marks = Counter(safeguard for node in ast.walk(test) if (safeguard := _safeguard(node)))
        for safeguard in marks.keys() - whole:
            yield Mutation(name, safeguard, marks[safeguard])


def _safeguard(node: ast.AST) -> str | None:
    """Return what pytest.mark.mutation("this") names."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.mutation":
        return str(ast.literal_eval(node.args[0]))
    return None


def _cases(mark: ast.expr, constants: dict[str, ast.expr]) -> int:
    """Return how many cases a decorator makes of a test."""
    if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != "pytest.mark.parametrize":
        return 1
    values = mark.args[1]
    if isinstance(values, ast.Name):
        values = constants[values.id]
    if isinstance(values, ast.Dict):
        return len(values.keys)
    assert isinstance(values, ast.List | ast.Tuple), ast.unparse(values)
    return len(values.elts)
