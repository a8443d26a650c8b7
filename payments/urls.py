"""The address that SumUp is told."""

from django.urls import path

from payments import views

app_name = "payments"
urlpatterns = [path("webhooks/sumup/<slug:token>/", views.webhook, name="webhook")]
