"""What validators have agreed on, as anyone can check it who knows the genesis: headers, votes, rules.

The ledger's own blocks and rules know nothing of this; it is how CometBFT 0.38 spells and signs.
"""
