"""Hospital A's node over a scene, without a socket."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from house import House
from iamata.api.app import create_app
from iamata.testing.scenes import Scene
from iamata.testing.surface import AUTHORITY, serve_office


@pytest.fixture
def scene() -> Scene:
    return Scene.make()


@pytest.fixture
def house(scene: Scene) -> Iterator[House]:
    carl = scene.world.enrol_patient("carl", custodian="hospital-b")
    serving = serve_office(scene, scene.a)
    with TestClient(
        create_app(serving),
        base_url=f"http://{AUTHORITY}",
        client=("192.0.2.7", 40_000),
        raise_server_exceptions=False,
    ) as client:
        yield House(scene=scene, serving=serving, client=client, carl=carl)
