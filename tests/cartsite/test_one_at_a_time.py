"""A sweep that is still running keeps the next one from starting, so that no sweep fills the workers."""

import pytest
from django.core.cache import cache

from cartsite.celery import one_at_a_time


def test_while_one_run_goes_on_the_next_does_nothing() -> None:
    runs = []

    @one_at_a_time
    def work() -> None:
        runs.append("began")
        work()

    work()

    assert runs == ["began"]


def test_when_a_run_has_ended_the_next_may_begin() -> None:
    runs = []

    @one_at_a_time
    def work() -> None:
        runs.append("ran")

    work()
    work()

    assert runs == ["ran", "ran"]


def test_a_run_that_failed_has_ended_too() -> None:
    runs = []

    @one_at_a_time
    def work() -> None:
        runs.append("ran")
        raise ZeroDivisionError

    for _try in range(2):
        with pytest.raises(ZeroDivisionError):
            work()

    assert runs == ["ran", "ran"]


def test_without_a_cache_sweeps_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache only spares work: money must not wait for it."""
    runs = []

    def break_down(*_args: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(cache, "add", break_down)
    monkeypatch.setattr(cache, "delete", break_down)

    @one_at_a_time
    def work() -> None:
        runs.append("ran")

    work()

    assert runs == ["ran"]
