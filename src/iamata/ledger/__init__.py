"""The rules of the ledger: a pure state machine from blocks of transactions to an app hash.

Nothing here reads a file, a clock, chance or a setting. `spec/ledger.md` numbers every rule.
"""
