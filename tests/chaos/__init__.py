"""Does everything come back by itself, with nothing lost, whatever is broken?"""
