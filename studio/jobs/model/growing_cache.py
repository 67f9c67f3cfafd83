"""Keys and values of past tokens with room for those to come.

transformers' own layer copies all of them for every token. Measured on a CPU with prompts of up to 430 tokens: without
that, answers of 64 tokens take 13 % less processor time, prompts included; short answers take as long.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer

ROOM = 32
"""Tokens until everything is copied again."""


class GrowingLayer(DynamicLayer):
    """A ``DynamicLayer`` whose ``keys`` and ``values`` are the filled parts of larger tensors.

    Not for beams, which exchange keys and values from outside.
    """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.rooms = (key_states[..., :0, :], value_states[..., :0, :])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        filled = self.get_seq_length()
        self.rooms = _grown(self.rooms[0], filled, key_states), _grown(self.rooms[1], filled, value_states)
        return self._look(filled + key_states.shape[-2])

    def batch_select_indices(self, indices: Tensor) -> None:
        filled = self.get_seq_length()
        self.rooms = self.rooms[0][indices], self.rooms[1][indices]
        self._look(filled)

    def _look(self, filled: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (each[..., :filled, :] for each in self.rooms)
        return self.keys, self.values


def _grown(room: Tensor, filled: int, states: Tensor) -> Tensor:
    ends = filled + states.shape[-2]
    if ends > room.shape[-2]:
        larger = states.new_empty((*states.shape[:-2], ends + ROOM, states.shape[-1]))
        larger[..., :filled, :] = room[..., :filled, :]
        room = larger
    room[..., filled:ends, :] = states
    return room
