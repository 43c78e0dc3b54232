"""Callbacks in Django: an async view and a sync view; a project needs only one."""

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from voxsms import webhooks

opt_outs = webhooks.SqliteOptOuts("opt-outs.db")
seen = webhooks.SqliteSeen("seen.db")
secret = webhooks.CallbackSecret.from_env()


async def on_callback(callback: webhooks.Callback) -> None:
    """Act on a callback, once; the ORM has async methods, such as `aupdate_or_create`."""
    match callback:
        case webhooks.InboundSms(source_number=number, sms_body=text):
            if webhooks.keyword(text) is webhooks.Keyword.STOP:
                await opt_outs.add(number)


@csrf_exempt
@require_POST
async def callbacks(request: HttpRequest) -> HttpResponse:
    """Answer a post from the service, under ASGI."""
    body = request.read(webhooks.MAX_BODY + 1)  # one byte more shows that it is too large
    return HttpResponse(status=await webhooks.handle(body, secret, on_callback, seen))


@csrf_exempt
@require_POST
def callbacks_sync(request: HttpRequest) -> HttpResponse:
    """Answer a post from the service, under WSGI."""
    body = request.read(webhooks.MAX_BODY + 1)
    status = async_to_sync(webhooks.handle)(body, secret, on_callback, seen)
    return HttpResponse(status=status)


urlpatterns = [path("voximplant/", callbacks), path("voximplant-sync/", callbacks_sync)]
