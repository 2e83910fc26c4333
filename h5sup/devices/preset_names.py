"""By which tokens clients know the places that a camera knows by tokens of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from h5sup.base.errors import NotFoundError
from h5sup.devices.model import Preset

OTHERWISE = "~"  # before a camera's own token that a client has given to another place


class PresetNames:
    """The tokens of one camera that clients chose and the camera would not take.

    A client says where to keep a place (`2`); some cameras choose a token themselves (`17`). What
    is not in here has the camera's own token.
    """

    def __init__(self, raw: Mapping[Any, Any] | None = None) -> None:
        """Take what raw() gave before; what is no text in it is left out."""
        self._own = {
            name: own
            for name, own in (raw or {}).items()
            if isinstance(name, str) and isinstance(own, str)
        }

    def __len__(self) -> int:
        return len(self._own)

    def __contains__(self, name: str) -> bool:
        return name in self._own

    def raw(self) -> dict[str, str]:
        """Return them to be saved."""
        return dict(self._own)

    def of_device(self, name: str) -> str:
        """Return the camera's token; raises NotFoundError for one that goes by another name."""
        if name in self._own:
            return self._own[name]
        hidden = name.removeprefix(OTHERWISE)
        if hidden != name and hidden in self._own:
            return hidden
        if self._is_taken(name):
            raise NotFoundError(f"there is no preset {name!r}")
        return name

    def to_set(self, name: str) -> str:
        """Return the camera's token to keep a place at; empty asks for a new one."""
        return "" if name not in self._own and self._is_taken(name) else self.of_device(name)

    def keep(self, name: str, own: str) -> bool:
        """Note by which token the camera has kept a place; returns whether that is news."""
        before = self.raw()
        others = {one: its for one, its in self._own.items() if one != name and its != own}
        if own != self._shown_as(name):
            others[name] = own
        self._own = others
        return others != before

    def drop(self, name: str) -> bool:
        """Forget a client's token; returns whether there was one."""
        return self._own.pop(name, None) is not None

    def listed(self, presets: Sequence[Preset]) -> list[Preset]:
        """Return a camera's places by the tokens that clients use."""
        names = {own: name for name, own in self._own.items()}
        return [replace(one, token=self._listed_token(one.token, names)) for one in presets]

    def _listed_token(self, own: str, names: Mapping[str, str]) -> str:
        if own in names:
            return names[own]
        return OTHERWISE + own if own in self._own else own

    def _shown_as(self, name: str) -> str:
        """Return the camera's token that a client's token means by itself."""
        hidden = name.removeprefix(OTHERWISE)
        return hidden if hidden != name and hidden in self._own else name

    def _is_taken(self, own: str) -> bool:
        return own in self._own.values()
