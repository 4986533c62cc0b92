"""URLs of the small project."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import DefaultRouter

from tests import shop_views as views

router = DefaultRouter(use_regex_path=False)
router.include_root_view = False
router.include_format_suffixes = False
router.register("shops", views.ShopViewSet, basename="shop")

urlpatterns = [
    *router.urls,
    path("shops-by-offset/", views.ShopsByOffsetView.as_view()),
    path("shops-by-cursor/", views.ShopsByCursorView.as_view()),
    path("shops-by-id-cursor/", views.ShopsByIdCursorView.as_view()),
    path("all-shops/", views.AllShopsView.as_view()),
    path("orders/", views.OrderView.as_view()),
    path("orders/<str:way>/", views.OrderByFunctionView.as_view()),
    path("hello/", views.HelloView.as_view()),
    path("hello-function/", views.hello_function),
    path("hello-async/", views.hello_async),
    path("secret/", views.SecretView.as_view()),
    path("staff/", views.StaffView.as_view()),
    path("echo/", views.EchoView.as_view()),
    path("odd-types/", views.OddTypesView.as_view()),
    path("files/<str:kind>/", views.FileView.as_view()),
    path("raw/", views.RawView.as_view()),
    path("empty/", views.EmptyView.as_view()),
    path("throttled/", views.ThrottledView.as_view()),
    path("unscoped/", views.UnscopedThrottledView.as_view()),
    path("address-throttled/", views.AddressThrottledView.as_view()),
    path("raise/<str:kind>/", views.RaiseView.as_view()),
    path("half-done/", views.HalfDoneView.as_view()),
    path("plain/<str:kind>/", views.plain_view),
]
