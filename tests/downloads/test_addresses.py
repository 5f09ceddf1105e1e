"""Which addresses are asked, and what an `s3://` address means."""

from __future__ import annotations

import pytest

from bench.downloads.addresses import refusal, resolved


def test_public_buckets_have_an_https_address() -> None:
    assert resolved("s3://public-data/v1/a b.h5ad") == "https://public-data.s3.amazonaws.com/v1/a b.h5ad"
    assert resolved("https://example.org/x") == "https://example.org/x"
    assert refusal(resolved("s3://with.dots/x")) == "s3: only https addresses are fetched"


@pytest.mark.parametrize(
    ("url", "came_from", "allowed"),
    [
        ("https://example.org/x", "", True),
        ("http://127.0.0.1:80/x", "", True),
        ("http://localhost/x", "http://127.0.0.1/y", True),
        ("https://example.org/x", "http://localhost/y", True),
        ("http://example.org/x", "", False),
        ("http://example.org/x", "https://example.org/y", False),
        ("http://127.0.0.1/x", "https://example.org/y", False),
        ("https://127.0.0.1/x", "https://example.org/y", False),
        ("https:///x", "", False),
    ],
)
def test_only_safe_steps_are_taken(url: str, came_from: str, allowed: bool) -> None:
    assert (refusal(url, came_from) == "") is allowed
