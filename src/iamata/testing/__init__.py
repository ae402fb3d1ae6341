"""Small deterministic stand-ins for tests: a clock, chance from a seed, a ledger in memory, a little world.

No part of a running network imports this package.
"""
