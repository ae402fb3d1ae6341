"""A round in one process: for simulations, and for whoever wants to see what is exchanged."""

from collections.abc import Sequence

from iamata.learning.secure_sum.messages import PHASES
from iamata.learning.secure_sum.plans import Plan
from iamata.learning.secure_sum.relay import Relay
from iamata.learning.secure_sum.site import Site, Sum
from iamata.model.reasons import Reason, Refused


def rehearse(plan: Plan, sites: Sequence[Site]) -> Sum:
    """Carry the messages of sites that all stay to the end, and return their sum."""
    relay = Relay.start(plan)
    for site in sites:
        relay.receive(site.answer)
    for phase in range(len(PHASES)):
        delivery = relay.find_delivery(phase)
        if delivery is None:
            raise Refused(Reason.TOO_FEW_SITES, PHASES[phase])
        for site in sites:
            answer = site.receive(delivery)
            if answer is not None:
                relay.receive(answer)
    total = sites[0].find_sum()
    if total is None:
        raise Refused(Reason.TOO_FEW_SITES, "sums")
    return total
