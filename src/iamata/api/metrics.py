"""What Prometheus may know: counts, times and heights, by route and status. No label names anybody."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """One node's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "iamata_requests",
            "Requests, by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "iamata_request_seconds",
            "How long requests took, by route",
            ("route",),
            registry=self.registry,
            buckets=BUCKETS_S,
        )
        self.refusals = Counter(
            "iamata_refusals", "Refusals, by reason", ("reason",), registry=self.registry
        )
        self.height = Gauge("iamata_ledger_height", "Newest final block", registry=self.registry)
        self.troubled = Gauge(
            "iamata_ledger_troubled",
            "1 where the ledger does not grow as it should",
            registry=self.registry,
        )
        self.log_size = Gauge("iamata_ledger_log_size", "Leaves of the log", registry=self.registry)
        self.tasks = Gauge("iamata_tasks", "Requests that run or wait for a thread", registry=self.registry)
        self.polls = Gauge("iamata_long_polls", "Long polls that wait", registry=self.registry)

    def write(self) -> bytes:
        """Write all figures in Prometheus' text form."""
        return generate_latest(self.registry)
