"""What is the opening of a game called, where Lichess did not say?

By Lichess's own rule (scalachess @ cbffc9d7: OpeningDb.search, Variant.list.openingSensibleVariants): what
the last of its first positions that has a name is called, whichever moves led there. The names are Lichess's,
too: `dev.openings` makes named_positions.tsv of them.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

from app.contract.games import Opening, OpeningSource

NAMED_VARIANTS: Final = frozenset({"standard", "crazyhouse", "threeCheck", "kingOfTheHill"})
"""Those in which the first moves mean what they mean in chess. From Position and Chess960 begin elsewhere."""
SEARCHED_PLIES: Final = 40
"""As far as Lichess looks: a game that comes back to a named position later has left the opening."""

_FILE: Final = "named_positions.tsv"
_INITIAL_KEY: Final = 0x463B96181691FC9C
"""Of the initial position: Polyglot publishes it."""


def name_opening(variant: str, san: Sequence[str], position_keys: Sequence[int] | None) -> Opening | None:
    """Return the opening of a game and the ply of the position that it is named by, or None.

    `position_keys` are those of `app.contract.positions`, the initial position first. They may end before the
    game does, as `san` may, of which only the first SEARCHED_PLIES matter. None for other variants, a game
    from another position, and one without a move.
    """
    if variant not in NAMED_VARIANTS or not position_keys or position_keys[0] != _INITIAL_KEY:
        return None
    last = min(len(position_keys) - 1, SEARCHED_PLIES)
    if variant == "crazyhouse":  # a piece that was dropped belongs to no opening
        last = next((ply for ply, move in enumerate(san[:last]) if "@" in move), last)
    for ply in range(last, 0, -1):
        named = _NAMES.get(position_keys[ply])
        if named is not None:
            eco, name = named
            return Opening(eco=eco, name=name, ply=ply, source=OpeningSource.SCORESHEET)
    return None


def _read() -> Mapping[int, tuple[str, str]]:
    """Return ECO code and name by position key."""
    names = {}
    for line in files(__package__).joinpath(_FILE).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            eco, name, keys = line.split("\t")
            for key in keys.split():
                number = int(key, 16)
                names[number - 2**64 if number >= 2**63 else number] = (eco, name)
    return names


# With the module, so that the children of a worker share it.
_NAMES: Final = _read()
