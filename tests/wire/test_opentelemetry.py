"""The documented example for OpenTelemetry does what it says, word for word."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from fault_matrix import SOURCE, Instant
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import voxsms
from voxsms import Client
from voxsms.errors import OutcomeUnknown
from voxsms.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs/howto/observe.md"
SMS: dict[str, Any] = {
    "source": SOURCE.number,
    "destination": "447443332212",
    "sms_body": "Kanarienvogel",
}


@attrs.define
class Watched:
    """What the example's functions wrote."""

    hooks: dict[str, Any]
    tracer: trace.Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of calls that ended."""
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith("POST")]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Run the example as it is documented, with providers that keep everything."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces, meters = TracerProvider(), MeterProvider([reader])
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", traces.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    (example,) = re.findall(r"```python\n([^`]*opentelemetry[^`]*)```", PAGE.read_text("utf-8"))
    names: dict[str, Any] = {"voxsms": voxsms}
    exec(example.partition("\n\nwatched =")[0], names)  # noqa: S102 - this repository's own
    hooks = {name: names[name] for name in ("on_attempt", "on_outcome")}
    yield Watched(hooks, traces.get_tracer("test"), exporter, reader)
    traces.shutdown()
    meters.shutdown()


@pytest.mark.voxsms_sandbox(numbers=[SOURCE], faults="rate_limited, ok, commit_then_close")
async def test_a_span_an_attempt_and_a_measurement_a_call(
    voxsms_sandbox: Sandbox, watched: Watched
) -> None:
    """Below the caller's own span, as long as the attempt took, with the stable names for HTTP."""
    auth, url = voxsms_sandbox.auth, voxsms_sandbox.url
    async with Client(auth, url, **watched.hooks, clock=Instant()) as client:
        with watched.tracer.start_as_current_span("a request of somebody's") as parent:
            await client.send_sms_message(**SMS)
        with pytest.raises(OutcomeUnknown):
            await client.send_sms_message(**SMS)
    limited, good, lost = watched.spans
    assert good.parent == parent.get_span_context()
    assert {span.kind for span in watched.spans} == {trace.SpanKind.CLIENT}
    assert good.name == "POST /platform_api/SendSmsMessage/"
    assert good.attributes == {
        "http.request.method": "POST",
        "http.request.resend_count": 1,
        "http.response.status_code": 200,
        "server.address": "api.voximplant.com",
        "url.template": "/platform_api/SendSmsMessage/",
        "voxsms.outcome": "accepted",
    }
    assert limited.attributes is not None
    assert limited.attributes["error.type"] == "RateLimited"
    assert lost.attributes is not None
    assert lost.attributes["voxsms.outcome"] == "unknown"
    assert "http.response.status_code" not in lost.attributes
    assert lost.status.status_code is trace.StatusCode.ERROR
    assert lost.status.description == "OutcomeUnknown"
    assert good.start_time is not None
    assert good.end_time is not None
    assert 0 < good.end_time - good.start_time < 30e9
    data = watched.reader.get_metrics_data()
    assert data is not None
    assert data.to_json().count('"voxsms.call.duration"') == 1
    shown = data.to_json() + "".join(span.to_json() for span in watched.spans)
    assert not any(secret in shown for secret in SMS.values())


@pytest.mark.voxsms_sandbox(numbers=[SOURCE], faults="commit_then_never")
async def test_a_cancelled_call_has_its_span_too(voxsms_sandbox: Sandbox, watched: Watched) -> None:
    """What was given up after its first byte is in the traces, in doubt."""
    auth, url = voxsms_sandbox.auth, voxsms_sandbox.url
    async with Client(auth, url, **watched.hooks) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.send_sms_message(**SMS)
    (span,) = watched.spans
    assert span.attributes is not None
    assert span.attributes["voxsms.outcome"] == "unknown"
