"""Many clients at once: the small version of benchmarks/clients.py."""

from __future__ import annotations

from benchmarks.clients import measure


def test_many_clients_at_once_lose_nothing_and_cost_no_memory() -> None:
    found = measure(clients=12, jobs=2, frames=2)
    assert found["troubles"] == []
    assert found["succeeded"] == 24
    assert found["growth"] < 1.2
