"""What became of winning and of losing positions, and in which phase was it decided?"""

from collections.abc import Sequence
from typing import ClassVar

from app.contract.games import DRAW_STATUSES, Color, GameResult
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.moves import WINNING_PERCENT, Percent, percent, seen_by, white_win_percents
from plugins.phases import Phase, phases


class Standing(PluginOutput):
    """A winning position of one side, and what became of it."""

    since_ply: Ply
    """The first position in which the side stood winning (75 Win% or more)."""
    phase: Phase
    """Of that position."""
    peak_ply: Ply
    """The position in which it stood best; the first of several."""
    peak: Percent
    """Win% there, from the side's view."""
    let_go_ply: Ply | None
    """The last position in which it stood winning, where the game was not won."""
    let_go_phase: Phase | None
    """Of that position."""


class SideConversion(PluginOutput):
    """From one side's view."""

    result: GameResult
    winning: Standing | None
    """None if the side never stood winning. Converted where `result` is a win, spoilt where it is a draw or a
    loss."""
    losing: Standing | None
    """The opponent's winning position: saved where `result` is a draw, turned where it is a win."""


class PhaseCourse(PluginOutput):
    """How a phase changed the game."""

    phase: Phase
    from_ply: Ply
    """Its first position."""
    to_ply: Ply
    """Its last one: the next phase's first, or the game's last."""
    white_win_from: Percent
    """White's Win% in the first position."""
    white_win_to: Percent
    """White's Win% in the last one."""


class ConversionResult(PluginOutput):
    """Both sides' conversion, and the course of the game by phase."""

    white: SideConversion
    black: SideConversion
    phases: list[PhaseCourse]
    """Those in which a move was made, in order."""


class Conversion(Plugin[ConversionResult]):
    """Follows advantages to the result."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "conversion"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Conversion"
    description: ClassVar[str] = (
        "Whether winning positions (75 Win%, three pawns) were won and losing ones saved, in which phase "
        "they arose and were let go, and how each phase changed the game."
    )
    result_type: ClassVar[type[PluginOutput]] = ConversionResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> ConversionResult:
        """Follow both sides."""
        wins = white_win_percents(game)
        in_phase = phases(game)
        standing = {
            side: _standing([seen_by(side, win) for win in wins], in_phase, won=game.winner is side)
            for side in Color
        }
        white, black = Color.WHITE, Color.BLACK
        return ConversionResult(
            white=SideConversion(
                result=result_of(game, white), winning=standing[white], losing=standing[black]
            ),
            black=SideConversion(
                result=result_of(game, black), winning=standing[black], losing=standing[white]
            ),
            phases=_courses(wins, in_phase),
        )


def result_of(game: AnalysedGame, side: Color) -> GameResult:
    """Return the outcome for one side."""
    if game.winner is not None:
        return GameResult.WIN if game.winner is side else GameResult.LOSS
    return GameResult.DRAW if game.status in DRAW_STATUSES else GameResult.UNKNOWN


def _standing(wins: Sequence[float], in_phase: Sequence[Phase], *, won: bool) -> Standing | None:
    winning = [ply for ply, win in enumerate(wins) if win >= WINNING_PERCENT]
    if not winning:
        return None
    peak = max(winning, key=lambda ply: (wins[ply], -ply))
    let_go = None if won else winning[-1]
    return Standing(
        since_ply=winning[0],
        phase=in_phase[winning[0]],
        peak_ply=peak,
        peak=percent(wins[peak]),
        let_go_ply=let_go,
        let_go_phase=None if let_go is None else in_phase[let_go],
    )


def _courses(wins: Sequence[float], in_phase: Sequence[Phase]) -> list[PhaseCourse]:
    courses = []
    for phase in Phase:
        made_in = [ply for ply in range(len(wins) - 1) if in_phase[ply] is phase]
        if not made_in:
            continue
        start, end = made_in[0], made_in[-1] + 1
        courses.append(
            PhaseCourse(
                phase=phase,
                from_ply=start,
                to_ply=end,
                white_win_from=percent(wins[start]),
                white_win_to=percent(wins[end]),
            )
        )
    return courses
