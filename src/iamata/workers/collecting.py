"""Let the garbage collector rest while much is read: what is read holds no circles, and soon goes.

Python looks for circles whenever some hundred new objects are left over; reading records leaves them over
all the time, and the search then walks over everything that is loaded.
"""

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

OBJECTS_BETWEEN: Final = 200_000
"""New objects after which the collector looks all the same: circles of one document never pile up."""


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Set what is loaded apart, and look through new objects seldom, until the end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
