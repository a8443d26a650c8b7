"""Addresses of the checkout and of orders."""

from django.urls import path

from orders import views

app_name = "orders"
urlpatterns = [
    path("checkout/", views.checkout, name="checkout"),
    path("orders/", views.mine, name="mine"),
    path("orders/<slug:number>/", views.detail, name="detail"),
    path("orders/<slug:number>/return/", views.back_from_sumup, name="return"),
    path("orders/<slug:number>/pay/", views.pay, name="pay"),
    path("orders/<slug:number>/change-basket/", views.change_basket, name="change_basket"),
    path("orders/<slug:number>/keep/", views.keep, name="keep"),
    path("orders/<slug:number>/late-payment/", views.late_payment, name="late_payment"),
]
