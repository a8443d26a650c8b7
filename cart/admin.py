"""The back office: stalls, products and carts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bookings.models import Pool
from cart.models import Cart, CartItem, CartMerge, Product, Stall
from cartsite.backoffice import RecordAdmin, RecordInline
from cartsite.editing import EditedAdmin
from cartsite.pictures import check_picture


@admin.register(Stall)
class StallAdmin(EditedAdmin):
    list_display = ["name", "is_house", "archived_at"]
    search_fields = ["name", "description"]
    list_filter = ["is_house", "archived_at"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["uuid"]


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product; its picture must be there, or the shop would show a broken one."""

    def clean_picture(self) -> str:
        path: str = self.cleaned_data["picture"]
        if path and "picture" in self.changed_data:
            check_picture(path)
        return path


@admin.register(Product)
class ProductAdmin(EditedAdmin):
    form = ProductForm
    list_display = ["title", "sku", "stall", "price", "tax_rate", "left", "archived_at"]
    list_select_related = ["stall", "pool"]
    search_fields = ["title", "sku", "description"]
    list_filter = ["stall", "tax_rate", "archived_at"]
    readonly_fields = ["uuid"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """What was sold is held in the pool that was chosen first: another one would know nothing of it."""
        return [*self.readonly_fields, "pool"] if obj and obj.pool_id else self.readonly_fields

    def get_field_queryset(self, db: Any, db_field: Any, request: HttpRequest) -> Any:
        """Its stock is a pool that nothing else takes from."""
        if db_field.name != "pool":
            return super().get_field_queryset(db, db_field, request)
        return Pool.objects.unused().order_by("name", "pk")

    @admin.display(description=_("left"), empty_value="-")
    def left(self, product: Product) -> int | None:
        return product.pool.free if product.pool else None


class CartItemInline(RecordInline):
    model = CartItem
    fields = ["product", "entry", "quantity", "seen_price", "hold", "saved_at", "changed_at"]


@admin.register(Cart)
class CartAdmin(RecordAdmin):
    list_display = ["uuid", "user", "created_at", "ordered_at"]
    list_select_related = ["user"]
    search_fields = ["=uuid", "user__username", "user__email"]
    list_filter = ["ordered_at", "created_at"]
    exclude = ["token_hash", "network"]
    inlines = [CartItemInline]
    ordering = ["-pk"]


@admin.register(CartItem)
class CartItemAdmin(RecordAdmin):
    list_display = ["cart", "product", "entry", "quantity", "seen_price", "saved_at", "changed_at"]
    list_select_related = ["cart", "product", "entry"]
    search_fields = ["product__title", "product__sku", "entry__title"]
    list_filter = ["saved_at", "changed_at"]
    ordering = ["-pk"]


@admin.register(CartMerge)
class CartMergeAdmin(RecordAdmin):
    list_display = ["cart", "how", "made_at", "ended_at"]
    list_select_related = ["cart"]
    search_fields = ["=uuid", "=cart__uuid"]
    list_filter = ["how", "made_at"]
    ordering = ["-pk"]
