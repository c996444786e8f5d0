"""What had the players of a game played before it?"""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.analyses import EARLIER_PLIES, EarlierGames
from app.contract.games import Color
from app.db.models import Game, GameMoves
from app.games import repository
from app.players import service as players


async def earlier_games(session: AsyncSession, game: Game, moves: GameMoves) -> dict[Color, EarlierGames]:
    """Return the earlier games of the sides whose accounts are tracked.

    Earlier games are those of the account with the same colour that were created before this game, as far as
    they are stored by now. One that began from another position (set up, or of Chess960) is among them, and
    had no position before its own first. Costs a look at all of them.
    """
    keys = (moves.position_keys or [])[: EARLIER_PLIES + 1]
    found = {}
    for color, user_id in ((Color.WHITE, game.white_id), (Color.BLACK, game.black_id)):
        if user_id is None or not await players.is_tracked(session, user_id):
            continue
        count, reached = await repository.reached_before(session, user_id, color, game.created_at, keys)
        found[color] = EarlierGames(
            games=count,
            reached=reached,
            complete=await players.is_complete_before(session, user_id, game.created_at),
        )
    return found
