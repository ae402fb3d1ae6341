"""Whether the node lives, serves and how busy it is; who it is, and of which network."""

from starlette.responses import Response

from iamata.api.metrics import CONTENT_TYPE
from iamata.api.serving import Serving
from iamata.ledger.genesis import Genesis, get_orderer
from iamata.ledger.succession import Lineage
from iamata.model.reasons import Refused
from iamata.wire import bodies


async def tell_health() -> bodies.Health:
    """Say that the process answers, however busy its threads are."""
    return bodies.Health(status="alive")


def tell_readiness(serving: Serving) -> bodies.Health:
    """Say that the ledger can be read and grows, or refuse for the reason why it does not."""
    serving.office.take_view()
    trouble = serving.find_trouble()
    if trouble is not None:
        raise Refused(trouble.reason)
    return bodies.Health(status="ready")


def tell_metrics(serving: Serving) -> Response:
    """Write the node's figures for Prometheus."""
    view, metrics = serving.office.take_view(), serving.metrics
    metrics.height.set(view.height)
    metrics.troubled.set(serving.find_trouble() is not None)
    metrics.log_size.set(view.log_size)
    metrics.tasks.set(serving.pool.tasks)
    metrics.polls.set(serving.watch.polls)
    return Response(metrics.write(), media_type=CONTENT_TYPE)


def show_genesis(serving: Serving) -> Genesis:
    """Return the network's genesis; its hash is the network's id."""
    return serving.office.author.engine.genesis


def show_lineage(serving: Serving) -> Lineage:
    """Return the networks that this one goes on from, with what proves that their members agreed."""
    return serving.lineage


def describe_node(serving: Serving) -> bodies.NodeInfo:
    """Say whose node this is, where its ledger stands and who orders it."""
    engine, view = serving.office.author.engine, serving.office.take_view()
    return bodies.NodeInfo(
        member=serving.office.member,
        network=engine.network,
        name=engine.genesis.name,
        engine=serving.engine_kind,
        orderer=None if engine.genesis.validators else get_orderer(engine.genesis),
        height=view.height,
        time_ms=view.time_ms,
        log_size=view.log_size,
    )
