"""Addresses of the market and the cart."""

from django.urls import path

from cart import views

app_name = "cart"
urlpatterns = [
    path("", views.market, name="market"),
    path("cart/", views.detail, name="detail"),
    path("cart/items/", views.add_item, name="add"),
    path("cart/items/<int:item_id>/", views.update_item, name="update"),
    path("cart/prices/", views.accept_prices, name="accept_prices"),
    path("cart/renew/", views.renew, name="renew"),
]
