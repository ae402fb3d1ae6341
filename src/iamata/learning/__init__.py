"""What can be learned from sums over sites, whose rows never leave them. Pure."""
