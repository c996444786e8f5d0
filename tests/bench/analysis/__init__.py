"""How good are the analyses, and what do they cost?"""
