"""The typed client: a node is asked over HTTP, and nothing that it answers is believed without a proof."""
