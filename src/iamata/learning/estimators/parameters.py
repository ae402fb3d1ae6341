"""get_params and set_params, as scikit-learn's tools expect them of an estimator."""

import inspect
from typing import Self

from iamata.model.reasons import Reason, require


class Parameters:
    """An estimator whose settings are the arguments of its constructor, kept under their own names."""

    @classmethod
    def _list_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, *, deep: bool = True) -> dict[str, object]:  # noqa: ARG002  scikit-learn passes it
        """Return the settings by name."""
        return {name: getattr(self, name) for name in self._list_names()}

    def set_params(self, **params: object) -> Self:
        """Change settings by name, or refuse a name that there is not."""
        names = self._list_names()
        for name, value in params.items():
            require(name in names, Reason.INPUT_INVALID, f"no setting {name}")
            setattr(self, name, value)
        return self
