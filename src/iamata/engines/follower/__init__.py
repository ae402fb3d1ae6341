"""The follower: a full copy of a ledger that another node orders, believing nothing that it says."""
