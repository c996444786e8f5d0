"""Are searches kept, never repeated, and never taken for others?"""

from contextlib import closing
from pathlib import Path

import chess

from tests.bench.analysis.games import sample
from tests.bench.analysis.searches import Cache, Job, Manner, perform
from tests.bench.bare_engine import BareEngine
from tests.fakes import engine as fake
from workers.analysis.engine import Engine, EngineOptions

BUNDLED = Path(__file__).parents[2] / "fakes/lichess/games/selfplay.ndjson"
HASH_MB = 1


def journal(folder: Path) -> list[str]:
    """Return what the fake engine was told so far, and forget it."""
    lines = (folder / "journal").read_text().splitlines()
    (folder / "journal").unlink()
    return lines


def test_what_was_searched_is_found_again_and_not_repeated(tmp_path: Path) -> None:
    engine, cache_path = fake.install(tmp_path / "engine"), tmp_path / "searches.sqlite"
    game = sample(BUNDLED, 1)[0]
    positions = len({*game.searched})
    job = Job(game, Manner.CLEAN, (100, 200))
    assert perform(job, cache_path, engine, HASH_MB) == positions * 300
    told = journal(tmp_path / "engine")
    assert told.count("ucinewgame") == sum(line.startswith("go ") for line in told) == positions * 2
    assert perform(job, cache_path, engine, HASH_MB) == 0
    assert not any(line.startswith("go ") for line in journal(tmp_path / "engine"))
    with closing(Cache(cache_path, "Fake 1", HASH_MB)) as cache:
        assert cache.found(Manner.CLEAN, game, 100).keys() == {*game.searched}
        for other in (Manner.FORWARD, Manner.REVERSED):
            assert cache.found(other, game, 100) == {}
        assert cache.found(Manner.CLEAN, game, 300) == {}
    for stranger in (("Fake 2", HASH_MB), ("Fake 1", HASH_MB + 1)):
        with closing(Cache(cache_path, *stranger)) as cache:
            assert cache.found(Manner.CLEAN, game, 100) == {}


def test_with_a_kept_hash_a_game_is_searched_in_its_order(tmp_path: Path) -> None:
    engine, cache_path = fake.install(tmp_path / "engine"), tmp_path / "searches.sqlite"
    game, another = sample(BUNDLED, 2)
    assert game.fens[0] == another.fens[0]
    for manner, order in ((Manner.FORWARD, 1), (Manner.REVERSED, -1)):
        perform(Job(game, manner, (100,)), cache_path, engine, HASH_MB)
        told = journal(tmp_path / "engine")
        fens = [line.removeprefix("position fen ") for line in told if line.startswith("position fen ")]
        assert fens == [*dict.fromkeys(game.searched)][::order]
        assert told.count("ucinewgame") == 1
    with closing(Cache(cache_path, "Fake 1", HASH_MB)) as cache:
        assert cache.found(Manner.FORWARD, game, 100).keys() == {*game.searched}
        assert cache.found(Manner.FORWARD, another, 100) == {}


async def test_the_bare_engine_takes_the_line_that_the_worker_takes(tmp_path: Path) -> None:
    """The last that is an evaluation and no bound, which comes before the very last here."""
    path = fake.install(tmp_path, fake.Fault.BOUND_AT_END)
    board = chess.Board("r1bqk2r/ppp2ppp/2np1n2/2b1p3/2B1P3/2PP1N2/PP3PPP/RNBQK2R b KQkq - 0 6")
    with closing(BareEngine(path, HASH_MB)) as bare:
        ours = bare.search(board.fen(), 1_000)
    worker = await Engine.launch(EngineOptions(path, HASH_MB, patience_seconds=60))
    try:
        theirs = await worker.evaluate(board, 1_000)
    finally:
        await worker.close()
    assert (ours.score, ours.best, ours.depth, ours.nodes) == (
        theirs.score,
        theirs.pv[0],
        theirs.depth,
        theirs.nodes,
    )
