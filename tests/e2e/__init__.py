"""Does the whole pipeline bring the right games in, and keep them right?"""
