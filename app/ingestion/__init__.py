"""The ledger of what was seen at Lichess, stored and refused."""
