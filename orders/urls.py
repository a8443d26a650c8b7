"""Addresses of the checkout and of orders."""

from django.urls import path

from orders.views import (
    again,
    attendees,
    calendar,
    cancelling,
    checkout,
    finding,
    late,
    mine,
    moving,
    pages,
    paying,
    privacy,
    receipt,
    tickets,
)

app_name = "orders"
urlpatterns = [
    path("checkout/", checkout.checkout, name="checkout"),
    path("terms/", checkout.terms, name="terms"),
    path("orders/", mine.mine, name="mine"),
    path("orders/find/", finding.find, name="find"),
    path("orders/<slug:number>/", pages.detail, name="detail"),
    path("orders/<slug:number>/return/", paying.back_from_sumup, name="return"),
    path("orders/<slug:number>/pay/", paying.pay, name="pay"),
    path("orders/<slug:number>/change-basket/", paying.change_basket, name="change_basket"),
    path("orders/<slug:number>/keep/", paying.keep, name="keep"),
    path("orders/<slug:number>/late-payment/", late.late_payment, name="late_payment"),
    path("orders/<slug:number>/cancel/", cancelling.cancel, name="cancel"),
    path("orders/<slug:number>/move/", moving.move, name="move"),
    path("orders/<slug:number>/attendees/", attendees.attendees, name="attendees"),
    path("orders/<slug:number>/receipt/", receipt.receipt, name="receipt"),
    path("orders/<slug:number>/again/", again.again, name="again"),
    path("orders/<slug:number>/tickets/", tickets.tickets, name="tickets"),
    path("orders/<slug:number>/calendar.ics", calendar.calendar, name="calendar"),
    path("account/data/", privacy.your_data, name="your_data"),
    path("account/data/export/", privacy.export_data, name="export_data"),
    path("account/data/erase/", privacy.erase_data, name="erase_data"),
]
