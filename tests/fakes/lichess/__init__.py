"""A stand-in for lichess.org: its game exports over HTTP, with its rules, its limits and scripted faults."""

from tests.fakes.lichess.control import Control
from tests.fakes.lichess.faults import Fault, FaultKind
from tests.fakes.lichess.journal import Endpoint, Outcome, RecordedRequest, Refusal
from tests.fakes.lichess.server import run_fake_lichess

__all__ = [
    "Control",
    "Endpoint",
    "Fault",
    "FaultKind",
    "Outcome",
    "RecordedRequest",
    "Refusal",
    "run_fake_lichess",
]
