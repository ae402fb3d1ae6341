"""The Comet engine: an ABCI 2.0 application under CometBFT, where validators order blocks together."""
