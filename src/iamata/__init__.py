"""Iamata: a permissioned ledger and machine learning for medicine that each repair the other."""
