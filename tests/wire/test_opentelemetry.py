"""The README's example for OpenTelemetry does what it says, word for word as it stands there."""

import asyncio
import re
from collections.abc import Callable, Iterator
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

from voxsms import CallEvent, Client
from voxsms.errors import OutcomeUnknown
from voxsms.sandbox import Sandbox

README = Path(__file__).parents[2] / "README.md"
SMS: dict[str, Any] = {
    "source": SOURCE.number,
    "destination": "447443332212",
    "sms_body": "Kanarienvogel",
}


@attrs.define
class Watched:
    """What the example's function wrote."""

    on_outcome: Callable[[CallEvent], object]
    tracer: trace.Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that ended."""
        return self.exporter.get_finished_spans()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Run the example as it stands in the README, with providers that keep everything."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces, meters = TracerProvider(), MeterProvider([reader])
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", traces.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    (example,) = re.findall(r"```python\n([^`]*opentelemetry[^`]*)```", README.read_text("utf-8"))
    names: dict[str, Callable[[CallEvent], object]] = {}
    exec(example, names)  # noqa: S102 - this repository's own
    yield Watched(names["on_outcome"], traces.get_tracer("test"), exporter, reader)
    traces.shutdown()
    meters.shutdown()


@pytest.mark.voxsms_sandbox(numbers=[SOURCE], faults="rate_limited, ok, commit_then_close")
async def test_a_span_and_a_measurement_a_call(voxsms_sandbox: Sandbox, watched: Watched) -> None:
    """Below the caller's own span, as long as the call took; an error is one, and nothing sings."""
    auth, url = voxsms_sandbox.auth, voxsms_sandbox.url
    async with Client(auth, url, on_outcome=watched.on_outcome, clock=Instant()) as client:
        with watched.tracer.start_as_current_span("a request of somebody's") as parent:
            await client.send_sms_message(**SMS)
        with pytest.raises(OutcomeUnknown):
            await client.send_sms_message(**SMS)
    good, _, lost = watched.spans
    assert good.parent == parent.get_span_context()
    assert good.status.status_code is trace.StatusCode.OK
    assert good.attributes == {"method": "SendSmsMessage", "outcome": "accepted", "attempts": 2}
    assert lost.attributes is not None
    assert lost.attributes["outcome"] == "unknown"
    assert lost.status.status_code is trace.StatusCode.ERROR
    assert lost.status.description == "OutcomeUnknown"
    assert good.start_time is not None
    assert good.end_time is not None
    assert 0 < good.end_time - good.start_time < 30e9
    data = watched.reader.get_metrics_data()
    assert data is not None
    assert data.to_json().count('"voxsms.call"') == 1
    shown = data.to_json() + "".join(span.to_json() for span in watched.spans)
    assert not any(secret in shown for secret in SMS.values())


@pytest.mark.voxsms_sandbox(numbers=[SOURCE], faults="commit_then_never")
async def test_a_cancelled_call_has_its_span_too(voxsms_sandbox: Sandbox, watched: Watched) -> None:
    """What was given up after its first byte is in the traces, in doubt."""
    auth, url = voxsms_sandbox.auth, voxsms_sandbox.url
    async with Client(auth, url, on_outcome=watched.on_outcome) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.send_sms_message(**SMS)
    (span,) = watched.spans
    assert span.attributes is not None
    assert span.attributes["outcome"] == "unknown"
