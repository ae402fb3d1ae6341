"""Differential privacy of sums: exact discrete noise, shared among the sites, and what it costs.

The unit is one patient at one custodian. `sampling` draws, `noise` shares it out, `accounting` adds up.
Pure: chance is a key that arrives as an argument.
"""
