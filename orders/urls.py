"""Addresses of the checkout and of orders."""

from django.urls import path

from orders import views

app_name = "orders"
urlpatterns = [
    path("checkout/", views.checkout, name="checkout"),
    path("orders/", views.mine, name="mine"),
    path("orders/<str:number>/", views.detail, name="detail"),
    path("orders/<str:number>/return/", views.back_from_sumup, name="return"),
    path("orders/<str:number>/pay/", views.pay, name="pay"),
    path("orders/<str:number>/change-basket/", views.change_basket, name="change_basket"),
    path("orders/<str:number>/keep/", views.keep, name="keep"),
]
