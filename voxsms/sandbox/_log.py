"""A line for each request, on the logger `voxsms.sandbox` at INFO, without numbers and texts.

A2PSendSms 2 numbers -> 1 sent, 1 refused (506), 0.0340 USD
GetSmsHistory -> 25 of 3,000 rows
A2PSendSms 2 numbers -> 2 sent, 0.0680 USD; then the fault commit_then_close
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from voxsms.api import fault_codes
from voxsms.api.spec import METHODS
from voxsms.api.wire import SEPARATOR
from voxsms.pricing import total
from voxsms.sandbox._calls import JSON, Call, Reply
from voxsms.sandbox._faults import KINDS, InjectedFault
from voxsms.sandbox._ledger import Delivery

LOG = logging.getLogger("voxsms.sandbox")


def log_request(call: Call, outcome: str, fault: InjectedFault | None = None) -> None:
    """Log the outcome of a request, and its fault."""
    asked = ""
    if (method := METHODS.get(call.method)) and method.sending:
        numbers = call.form.get(method.sending.to, "").split(SEPARATOR)
        asked = f" {_count(len(numbers), 'number')}"
    if fault is not None and fault.kind != "ok":
        commits = KINDS[fault.kind].commits
        outcome += f"; then the fault {fault.kind}" if commits else f"the fault {fault.kind}"
    LOG.info("%s%s -> %s", call.method if method else "unknown method", asked, outcome)


def describe_answer(reply: Reply, deliveries: Sequence[Delivery], currency: str) -> str:
    """Describe the outcome of a request briefly: its answer and its deliveries."""
    if reply.content_type != JSON:
        return f"a file of {_count(len(reply.body), 'byte')}"
    answer: Mapping[str, Any] = orjson.loads(reply.body)
    if error := answer.get("error"):
        code = error["code"]
        return f"refused ({code} {fault_codes.look_up(code).name})"
    if "total_count" in answer:
        return f"{len(answer['result']):,} of {_count(answer['total_count'], 'row')}"
    if not deliveries and "failed" not in answer:
        return "done"
    parts = [f"{len(deliveries)} sent"]
    if failed := answer.get("failed"):
        codes = sorted({each["error_code"] for each in failed})
        parts.append(f"{len(failed)} refused ({', '.join(map(str, codes))})")
    cost = total(each.cost for each in deliveries)
    return ", ".join([*parts, f"{cost:.4f} {currency}"])


def log_post(types: Iterable[str], answer: str, attempt: int) -> None:
    """Log that callbacks were posted, and the answer."""
    kinds = list(types)
    again = f", attempt {attempt}" if attempt > 1 else ""
    names = ", ".join(dict.fromkeys(kinds))
    LOG.info("%s posted (%s%s) -> %s", _count(len(kinds), "callback"), names, again, answer)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
