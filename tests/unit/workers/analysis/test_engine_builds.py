"""Is the fastest build of the engine taken, and none that is broken or finds something else?"""

from pathlib import Path

from app.contract.positions import EngineIdentity
from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_builds import EngineBuild, fastest, installed, try_builds

OPTIONS = EngineOptions(Path(), 4, patience_seconds=60, slowest_nodes_per_second=1e6)


def test_a_setting_names_programs_and_folders_of_them(tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    for name in ("sf-b", "sf-a"):
        fake.install(builds).rename(builds / name)
    (builds / "README").write_text("no program")
    assert installed(f"{builds}:stockfish:/nowhere/x:{builds / 'sf-b'}") == [
        builds / "sf-a",
        builds / "sf-b",
        Path("stockfish"),
        Path("/nowhere/x"),
    ]


async def test_what_does_not_work_or_is_another_engine_or_finds_other_things_is_not_used(
    folder: Path,
) -> None:
    programs = [
        fake.install(folder / "missing").with_name("nothing"),
        fake.install(folder / "wrong_cpu", Fault.ILLEGAL_INSTRUCTION),
        fake.install(folder / "good"),
        fake.install(folder / "other", name="Fake 2"),
        fake.install(folder / "odd", salt="odd"),
        fake.install(folder / "dies", Fault.DIE_ON_GO),
        fake.install(folder / "twin"),
    ]
    builds = await try_builds(programs, OPTIONS)
    assert [build.path for build in builds] == programs
    missing, wrong_cpu, good, other, odd, dies, twin = builds
    assert "no such program" in missing.fault
    assert "exit status -4: built for another CPU" in wrong_cpu.fault
    assert (good.fault, twin.fault) == ("", "")
    assert other.fault == f"another engine than {good.path}"
    assert odd.fault == f"does not find what {good.path} finds"
    assert "exit status -11" in dies.fault
    assert dies.identity == good.identity
    assert fastest(builds) in (good, twin)
    assert fake.commands(folder / "wrong_cpu") == []


async def test_one_build_alone_is_not_measured(folder: Path) -> None:
    (build,) = await try_builds([fake.install(folder)], OPTIONS)
    assert (build.fault, build.nodes_per_second) == ("", None)
    assert [line for line in fake.commands(folder) if line.startswith("go")] == ["go nodes 1000"]
    assert fastest([build]) == build


async def test_several_builds_are_measured_at_the_same_positions(folder: Path) -> None:
    builds = await try_builds([fake.install(folder / name) for name in ("one", "other")], OPTIONS)
    assert all(build.nodes_per_second for build in builds)
    asked = [
        [line for line in fake.commands(folder / name) if line.startswith("position")]
        for name in ("one", "other")
    ]
    shorter = min(map(len, asked))
    assert shorter >= 2
    assert asked[0][:shorter] == asked[1][:shorter]


def test_the_fastest_of_those_without_a_fault_is_used_and_the_first_of_equals() -> None:
    def build(name: str, speed: float | None, fault: str = "") -> EngineBuild:
        return EngineBuild(Path(name), EngineIdentity(name="x", hash_mb=1), speed, fault)

    slow, fast, broken = build("slow", 1e5), build("fast", 2e5), build("broken", 9e5, "broken")
    assert fastest([slow, fast, broken]) is fast
    assert fastest([slow, build("equal", 1e5)]) is slow
    assert fastest([broken]) is None
    assert fastest([]) is None
