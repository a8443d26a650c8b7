"""Addresses of the market and the cart."""

from django.urls import path

from cart import views

app_name = "cart"
urlpatterns = [
    path("", views.market, name="market"),
    path("cart/", views.detail, name="detail"),
    path("cart/items/", views.add_item, name="add"),
    path("cart/quantities/", views.update_quantities, name="quantities"),
    path("cart/items/<int:item_id>/", views.update_item, name="update"),
    path("cart/items/<int:item_id>/save/", views.save_item, name="save"),
    path("cart/items/<int:item_id>/bring-back/", views.bring_item_back, name="bring_back"),
    path("cart/merges/<uuid:merge>/undo/", views.undo_merge, name="undo_merge"),
    path("cart/merges/<uuid:merge>/all-right/", views.put_merge_away, name="put_merge_away"),
    path("cart/together/", views.put_together, name="put_together"),
    path("cart/my-own/", views.use_own, name="use_own"),
    path("cart/prices/", views.accept_prices, name="accept_prices"),
    path("cart/renew/", views.renew, name="renew"),
]
