"""CometBFT orders: the application that it calls, and what its own answers prove."""
