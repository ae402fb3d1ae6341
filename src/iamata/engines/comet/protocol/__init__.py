"""The messages of CometBFT's socket, generated from its definitions (Apache-2.0) by `make abci-stubs`."""
