"""A study between node processes: trained by secure sums, and failed plainly when a site dies."""

import numpy as np
import pytest

from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.programmes import run
from iamata.learning.protocols import learn, split_site
from iamata.ledger.entries import ModelStatus
from iamata.model.ids import MemberId
from iamata.testing.learning import draw_rows, write_protocol
from iamata.testing.study_network import StudyNetwork
from iamata.workflows.frozen_tables import Row, make_table

SITES = tuple(MemberId(f"hospital-{letter}") for letter in "abcd")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> StudyNetwork:
    rows: dict[str, list[Row]] = {site: draw_rows(24, seed) for seed, site in enumerate(SITES)}
    return StudyNetwork(tmp_path_factory.mktemp("study") / "net", write_protocol(), rows)


def test_four_nodes_and_an_institute_train_a_model_equal_to_the_pooled_one(network: StudyNetwork) -> None:
    with network.running():
        _, model = network.train()
        entry = network.get_model(model)
        raw = network.show_document(entry.content)
        card = network.show_document(entry.card)

    assert entry.status is ModelStatus.CURRENT
    assert b"no medical device" in card
    decoded = decode_model(raw, identify_model(raw))
    assert isinstance(decoded, LinearModel)
    pooled_rows = {
        person.patient: [row]
        for seed, site in enumerate(SITES)
        for person, row in zip(network.patients[site], draw_rows(24, seed), strict=True)
    }
    protocol = write_protocol()
    pooled = run(
        lambda: learn(protocol), [split_site(protocol, make_table(pooled_rows, protocol.schema), number=0)]
    )
    twin = decode_model(pooled.model, identify_model(pooled.model))
    assert isinstance(twin, LinearModel)
    gap = np.abs(np.array(decoded.fit.coefficients) - np.array(twin.fit.coefficients)).max()
    assert gap < 1e-6
