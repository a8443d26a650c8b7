"""Addresses of the checkout and of orders."""

from django.urls import path

from orders.views import checkout, late, mine, pages, paying

app_name = "orders"
urlpatterns = [
    path("checkout/", checkout.checkout, name="checkout"),
    path("orders/", mine.mine, name="mine"),
    path("orders/<slug:number>/", pages.detail, name="detail"),
    path("orders/<slug:number>/return/", paying.back_from_sumup, name="return"),
    path("orders/<slug:number>/pay/", paying.pay, name="pay"),
    path("orders/<slug:number>/change-basket/", paying.change_basket, name="change_basket"),
    path("orders/<slug:number>/keep/", paying.keep, name="keep"),
    path("orders/<slug:number>/late-payment/", late.late_payment, name="late_payment"),
]
