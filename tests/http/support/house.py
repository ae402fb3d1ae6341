"""Hospital A's node over a scene, and how visitors knock at it."""

import dataclasses
import json
from typing import Any

import httpx2 as httpx
import msgspec
from starlette.testclient import TestClient

from iamata.api.serving import Serving
from iamata.crypto.ed25519 import SigningKey
from iamata.model.reasons import Reason
from iamata.testing.scenes import Scene
from iamata.testing.surface import sign
from iamata.testing.world import Party


@dataclasses.dataclass(slots=True)
class House:
    """A's node, and how to knock at it."""

    scene: Scene
    serving: Serving
    client: TestClient
    carl: Party
    """A patient of hospital B."""

    def get(self, target: str, key: SigningKey | None = None, **headers: str) -> httpx.Response:
        """Ask as the holder of a key, or as a stranger."""
        signed = {} if key is None else sign(key, "GET", target, clock=self.scene.world.clock)
        return self.client.get(target, headers=signed | headers)

    def post(self, target: str, body: Any, key: SigningKey | None = None, **headers: str) -> httpx.Response:
        """Send a body as the holder of a key, or as a stranger."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        signed = {} if key is None else sign(key, "POST", target, raw, clock=self.scene.world.clock)
        return self.client.post(target, content=raw, headers=signed | headers)

    @property
    def keys(self) -> dict[str, SigningKey | None]:
        """List who may come: everybody whom a route could tell apart."""
        world = self.scene.world
        return {
            "stranger": None,
            "unknown key": world.stranger("nobody").key,
            "member": self.scene.b.author.key,
            "own member": self.scene.a.author.key,
            "other staff": self.scene.ben.author.key,
            "own staff": world.administrator("hospital-a").author.key,
            "patient": self.scene.anna.author.key,
            "patient elsewhere": self.carl.author.key,
        }


def read_reason(response: httpx.Response) -> Reason:
    """Read why a node refused; the shape is the same everywhere."""
    problem = json.loads(response.content)
    assert sorted(problem) == ["name", "reason", "sentence"]
    reason = Reason(problem["reason"])
    assert problem["name"] == reason.name
    return reason
