"""A pretend phone in the browser: the prompts that wait, with Approve and Decline.

Only with DEBUG. It asks the simulator over HTTP, like a phone on the company's network.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from ntc_core.exceptions import json_error
from ntc_core.http import AnswerUnreadable, HttpClient, HttpFailure
from ntc_core.money import Money

__all__ = ["AnswerView", "PhoneView"]

SECONDS_BETWEEN_REFRESHES = 2
_HELP = (
    "The pretend company does not answer. Start it with "
    "python -m ntc_payments.simulator, and set NTC_PAYMENT_PROVIDERS['simulator']['base_url']."
)


class _DebugView(View):
    """Not there without DEBUG."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer 404 outside development, and 503 with help when the company is away."""
        if not settings.DEBUG:
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except (HttpFailure, AnswerUnreadable):
            if _wants_json(request):
                return json_error(HTTPStatus.SERVICE_UNAVAILABLE, message=_HELP)
            return _page(request, status=HTTPStatus.SERVICE_UNAVAILABLE, problem=_HELP)


@method_decorator(never_cache, name="dispatch")
class PhoneView(_DebugView):
    """The screen of the phone."""

    http_method_names = ["get", "head", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the prompts that wait: a page, or a JSON list."""
        answer = _client().request("GET", "/phone/prompts")
        if answer.status != HTTPStatus.OK:
            raise AnswerUnreadable("The simulator refused.")
        prompts = [_shown(prompt) for prompt in answer.json()]
        if _wants_json(request):
            return JsonResponse(prompts, safe=False)
        return _page(request, prompts=prompts)


@method_decorator(csrf_exempt, name="dispatch")
class AnswerView(_DebugView):
    """A thumb on the phone. Exempt from CSRF tokens so that curl can be one."""

    http_method_names = ["post"]
    answer: str = ""

    def post(self, request: HttpRequest, uid: str) -> HttpResponse:
        """Approve or decline one prompt."""
        if _is_cross_site(request):
            return json_error(
                HTTPStatus.FORBIDDEN,
                code="cross_site",
                message="Another site may not press buttons here.",
            )
        path = f"/phone/prompts/{quote(uid, safe='')}/{self.answer}"
        answer = _client().request("POST", path, json={})
        if answer.status == HTTPStatus.NOT_FOUND:
            return json_error(HTTPStatus.NOT_FOUND, message="There is no such prompt.")
        if answer.status == HTTPStatus.CONFLICT:
            return json_error(
                HTTPStatus.CONFLICT, code="not_waiting", message="This prompt has ended already."
            )
        if _wants_html(request):
            return redirect("../../")
        return JsonResponse(_shown(answer.json()))


def _client() -> HttpClient:
    options = getattr(settings, "NTC_PAYMENT_PROVIDERS", {}).get("simulator")
    if not options:
        raise Http404("The simulator is not one of NTC_PAYMENT_PROVIDERS.")
    return HttpClient(base_url=options["base_url"], total_timeout_seconds=5)


def _shown(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return the prompt in the words of the API."""
    money = Money.from_major(prompt["amount"], prompt["currency"])
    return {
        "uid": prompt["uid"],
        "amount": money.to_major(),
        "currency": money.currency,
        "phone": f"+{prompt['phone']}",
        "description": prompt["description"],
        "reference": prompt["reference"],
        "status": prompt["status"].lower(),
        "created_at": _moment(prompt["created_at"]),
        "expires_at": _moment(prompt["expires_at"]),
        "text": f"Pay {money}?",
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _page(request: HttpRequest, *, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
    context["refresh_seconds"] = SECONDS_BETWEEN_REFRESHES
    return render(request, "ntc_payments/phone.html", context, status=status)


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def _wants_html(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _is_cross_site(request: HttpRequest) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.get_host()
