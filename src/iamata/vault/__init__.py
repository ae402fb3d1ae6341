"""The vault: seals records, opens them for a permit, shares, shreds and accounts for them.

Functions over a `Custody`, which joins a member's stores with its keys. Only sealed bytes reach a store.
"""
