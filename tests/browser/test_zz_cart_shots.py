import pytest
from decimal import Decimal
from bookings import capacity
from bookings.models import Hold
from cart.models import Product
from cart import services
from tests.browser.test_two_baskets import *  # noqa

@pytest.mark.parametrize("w", [1280, 390])
def test_shots(browser, live_server, own, shopper, fill_cart, honey, w):
    from tests.factories import ProductFactory
    loaf = ProductFactory.create(title="Rye loaf", sku="LOAF", stock=5)
    jam = ProductFactory.create(title="Damson jam with a rather long name for a jar", sku="JAM", stock=3)
    _c, token = fill_cart((honey, 1), (loaf, 2), (jam, 2))
    cart, token = services.adopt(token, shopper)
    services.save_for_later(cart, cart.items.get(product=jam).pk)
    capacity.claim(jam.pool_id, 3, None)
    Product.objects.update(price=Decimal("7.00"))
    client = Client(); client.force_login(shopper)
    ctx = browser.new_context(base_url=live_server.url, viewport={"width": w, "height": 900})
    page = ctx.new_page()
    page.goto("/healthz")
    cookies = {"sessionid": client.cookies["sessionid"].value, "cart": token}
    ctx.add_cookies([{"name": n, "value": v, "url": page.url} for n, v in cookies.items()])
    page.goto("/cart/")
    page.screenshot(path=f"/tmp/shot-cart-{w}-1.png", full_page=True)
    page.get_by_role("button", name="Put into basket").click()
    page.wait_for_timeout(500)
    page.screenshot(path=f"/tmp/shot-cart-{w}-2.png", full_page=True)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_timeout(700)
    page.screenshot(path=f"/tmp/shot-cart-{w}-3.png", full_page=True)
    ctx.close()
