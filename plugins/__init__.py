"""Computations over analysed games: the contract of their authors, and the built-in ones."""
