"""What a node builds on threads of its own, since a large vault takes longer than a request may.

Begun once, and awaited by whoever asks again, also after going away. It is in memory: of a node that was
killed nothing is under way, and what had come to the ledger stands.
"""

import dataclasses
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from iamata.consent.data_use import Conditions
from iamata.model.ids import DatasetId, StudyId
from iamata.model.reasons import Reason, Refused, require

BUILDS_AT_ONCE_MAX: Final = 2
"""The next is refused until one of them is through."""
BUILDS_KEPT_MAX: Final = 64
"""Of so many it is remembered what they came to."""

_LOG: Final = structlog.get_logger("iamata.learning")


@dataclasses.dataclass(slots=True)
class _Build:
    """One dataset: for which study, on which conditions, and what came of it."""

    study: StudyId
    conditions: Conditions
    is_over: bool = False
    refused: Refused | None = None
    is_told: bool = False
    """Somebody has heard what came of it; who asks after that asks for another."""

    @property
    def is_awaited(self) -> bool:
        """Tell whether whoever asks for the same may mean this one."""
        return not self.is_over or (self.refused is None and not self.is_told)


class Builds:
    """The datasets that one node builds, or has built. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._builds: dict[DatasetId, _Build] = {}

    def begin(  # noqa: PLR0913  what is asked for, and what is known and done about it
        self,
        study: StudyId,
        conditions: Conditions,
        dataset: DatasetId,
        *,
        check: Callable[[], object],
        is_standing: Callable[[DatasetId], bool],
        work: Callable[[], object],
    ) -> DatasetId:
        """Begin to build a dataset, or return the one that is being built, or was while nobody waited.

        `check` refuses, before anything begins, what could not become a dataset. TOO_BUSY where the study's
        is being built on other conditions, or too many are.
        """
        with self._lock:
            for name, one in self._builds.items():
                is_same = (one.study, one.conditions) == (study, conditions)
                # What was built unheard may have been replaced or retired by now.
                if is_same and one.is_awaited and (not one.is_over or is_standing(name)):
                    return name
            under_way = [one for one in self._builds.values() if not one.is_over]
            is_free = all(one.study != study for one in under_way)
            require(is_free, Reason.TOO_BUSY, "it is being built on other conditions")
            require(
                len(under_way) < BUILDS_AT_ONCE_MAX, Reason.TOO_BUSY, "too many datasets are being built"
            )
            check()
            self._forget_oldest()
            build = self._builds[dataset] = _Build(study, conditions)
        working = partial(_go_through, dataset, build, work)
        threading.Thread(target=working, name="iamata-dataset", daemon=True).start()
        return dataset

    def is_built(self, dataset: DatasetId) -> bool:
        """Tell whether a dataset stands, False while it is being built; refuse where nothing came of it."""
        with self._lock:
            build = self._builds.get(dataset)
        if build is None:
            raise Refused(Reason.UNKNOWN_DATASET, "it was not begun here since the node was started")
        build.is_told = is_over = build.is_over
        if build.refused is not None:
            raise Refused(build.refused.reason, build.refused.detail)
        return is_over

    def _forget_oldest(self) -> None:
        over = [name for name, one in self._builds.items() if one.is_over]
        for name in over[: max(0, len(self._builds) - BUILDS_KEPT_MAX + 1)]:
            del self._builds[name]


def _go_through(dataset: DatasetId, build: _Build, work: Callable[[], object]) -> None:
    try:
        work()
        _LOG.info("built", dataset=dataset, study=build.study)
    except Refused as refused:
        build.refused = refused
        _LOG.error("not built", dataset=dataset, reason=refused.reason.name, detail=refused.detail)
    except Exception:  # noqa: BLE001  or whoever waits would wait for ever
        build.refused = Refused(Reason.NODE_FAULT)
        _LOG.exception("not built", dataset=dataset)
    build.is_over = True
