"""Every limit of the HTTP surface, by name."""

from typing import Final

BODY_BYTES_MAX: Final = 262_144
SUBMISSION_BYTES_MAX: Final = 9 * 1_024 * 1_024
"""As many transactions as a request may hold, each as long as one may be."""
VECTOR_BYTES_MAX: Final = 24 * 1_024 * 1_024
"""The longest vector of a sum, or the largest model that a site hands in, in base64."""
DRAFT_BYTES_MAX: Final = 1_536 * 1_024
"""The longest protocol of a study, in base64."""
DRAFTS_PER_DAY: Final = 32
"""Protocols that one researcher may have kept in a day, whether they are ever proposed or not."""
BODY_S_MAX: Final = 10.0
"""How long a body may take to arrive."""
HEAD_BYTES_MAX: Final = 16_384
HEAD_S_MAX: Final = 10.0
"""How long a connection may take until its first request's head is there."""
KEEP_ALIVE_S: Final = 30
CONNECTIONS_MAX: Final = 512
BACKLOG: Final = 256
STOP_S_MAX: Final = 30
"""How long a stopping node waits for answers that are under way."""

WORKERS: Final = 16
"""Threads in which use cases run."""
QUEUE_MAX: Final = 256
"""Requests that may wait for a thread."""
KEY_TASKS_MAX: Final = 8
"""Threads that one key's requests may hold at once: as many as a node's client keeps connections."""
POLLS_MAX: Final = 64
"""Long polls at once."""
KEY_POLLS_MAX: Final = 8
"""Long polls of one key at once."""
POLL_S: Final = 0.02
"""How often the ledger is looked at for those who wait."""
LATE_S: Final = 5.0
"""How often a node looks for what left without the ledger, and tries to tell it."""
VIEWS_MAX: Final = 32
VIEW_S_MAX: Final = 30.0
"""How many heights are held still for those who ask for proofs at one, and how long."""

STRANGER_PER_S: Final = 100.0
STRANGER_BURST: Final = 500
"""Requests without a signature that holds, for each address; each transaction in one counts."""
ADDRESS_PER_S: Final = 2_000.0
ADDRESS_BURST: Final = 4_000
"""All requests of an address, before any signature is looked at."""
KEY_PER_S: Final = 500.0
KEY_BURST: Final = 1_000
"""Requests that one key has signed."""
KEY_TRANSACTIONS_PER_S: Final = 5_000.0
KEY_TRANSACTIONS_BURST: Final = 20_000
"""Transactions in requests that one key has signed: a member's key hands on what all of its staff write."""
BUCKETS_MAX: Final = 10_000
"""Callers whose rate is remembered at once."""
NONCES_MAX: Final = 200_000
"""Nonces remembered at once, none for longer than a signature lives."""
