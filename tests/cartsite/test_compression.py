"""Pages travel compressed to browsers that can read that."""

import gzip

import pytest
from django.test import Client

from cart.models import Product

pytestmark = pytest.mark.django_db


def test_a_page_is_sent_compressed(client: Client, honey: Product) -> None:
    plain = client.get("/")
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert len(packed.content) < len(plain.content) / 2
    assert "Heather honey" in gzip.decompress(packed.content).decode()
    assert "Accept-Encoding" in packed["Vary"]
