"""Four validators on this machine, each a node and its CometBFT, and what they do under load."""
