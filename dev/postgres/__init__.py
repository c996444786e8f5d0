"""How does a checkout come by a PostgreSQL 17 and a cluster of its own?"""
