"""What does a request ask for, and is it well formed?

Lichess ignores what it can't read (a misspelt switch, `max=x`, the 301st id) and answers as if it
had not been sent. This server answers 400 instead, so that a mistake of our client can't hide; the
filters that Lichess serves from its search index are refused too, because they lose games.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.datastructures import QueryParams

MAX_IDS = 300


class BadRequestError(ValueError):
    """The request has a parameter that Lichess does not know or can't read."""


class Sort(StrEnum):
    """Order of a player's games, by creation."""

    DATE_ASC = "dateAsc"
    DATE_DESC = "dateDesc"


class FieldSwitches(BaseModel):
    """Which parts of a game the caller wants, with Lichess's defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    moves: bool = True
    tags: bool = True
    clocks: bool = False
    evals: bool = False
    accuracy: bool = False
    opening: bool = False
    division: bool = False
    literate: bool = False
    pgn_in_json: bool = False
    last_fen: bool = False
    with_bookmarked: bool = False

    @classmethod
    def parse(cls, params: QueryParams) -> Self:
        """Read a query string; raises BadRequestError."""
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise BadRequestError("; ".join(faults)) from error


class UserExport(FieldSwitches):
    """Parameters of a player's export; since and until are epoch milliseconds of createdAt."""

    since: Annotated[int, Field(ge=0)] | None = None
    until: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=1)] | None = None
    sort: Sort = Sort.DATE_DESC
    ongoing: bool = False
    finished: bool = True


def parse_ids(body: str) -> list[str]:
    """Read the comma separated game ids of an export by ids; raises BadRequestError beyond 300."""
    ids = [game_id for part in body.split(",") if (game_id := part.strip())]
    if len(ids) > MAX_IDS:
        raise BadRequestError(f"{len(ids)} ids, at most {MAX_IDS} are served")
    return ids
