"""Parts of pages that the code knows best: rendered at each build, never written by hand."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from io import StringIO
from pathlib import Path

import rich.console

import voxsms
from voxsms.api import fault_codes, spec
from voxsms.calls import loop
from voxsms.cli._codes import EXPLANATIONS
from voxsms.cli.app import app
from voxsms.outbox import TRANSITIONS, State
from voxsms.sandbox import CALLBACK_KINDS, KINDS
from voxsms.webhooks._keywords import SOURCES, TABLE

PAGES = {
    "client": (
        "voxsms.Client",
        "voxsms.ServiceAccount",
        "voxsms.ApiKey",
        "voxsms.Pager",
        "voxsms.Timeouts",
        "voxsms.AttemptEvent",
        "voxsms.CallEvent",
        "voxsms.Outcome",
        "voxsms.Clock",
    ),
    "records": (
        "voxsms.SendSmsMessageResult",
        "voxsms.A2PSendSmsResult",
        "voxsms.SmsTransaction",
        "voxsms.FailedSms",
        "voxsms.ControlSmsResult",
        "voxsms.HistoryPage",
        "voxsms.SmsHistory",
        "voxsms.A2PSmsHistory",
        "voxsms.PhoneNumber",
        "voxsms.AccountInfo",
        "voxsms.ResourcePrice",
        "voxsms.pricing.PriceGroup",
        "voxsms.pricing.PriceGroupParams",
        "voxsms.Direction",
        "voxsms.DeliveryStatus",
        "voxsms.MessageStatus",
        "voxsms.SmsCommand",
    ),
    "text": ("voxsms.text",),
    "pricing": ("voxsms.pricing",),
    "export": ("voxsms.export",),
    "webhooks": ("voxsms.webhooks",),
    "outbox": ("voxsms.outbox",),
    "recipients": ("voxsms.recipients",),
    "sandbox": ("voxsms.sandbox",),
    "testing": ("voxsms.testing.no_waiting",),
    "transport": (
        "voxsms.HttpxTransport",
        "voxsms.Httpx2Transport",
        "voxsms.AiohttpTransport",
        "voxsms.transport",
    ),
}
"""The public names on each reference page; a door's name stands for all the names in it."""
DOORS = (
    "text",
    "pricing",
    "recipients",
    "export",
    "webhooks",
    "outbox",
    "sandbox",
    "transport",
)


def write_all(target: Path) -> None:
    """Write each rendered part to its own file."""
    target.mkdir(exist_ok=True)
    parts = {f"api-{page}": autodoc(page, names) for page, names in documented().items()}
    parts |= {
        "methods": method_table(),
        "errors": error_tree(),
        "codes": code_table(),
        "faults": fault_table(),
        "keywords": keyword_table(),
        "rules": rule_table(),
        "cli": command_help(),
        "outbox-states": state_diagram() + transition_table(),
    }
    for name, text in parts.items():
        path = target / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def documented() -> dict[str, list[str]]:
    """Return the public names by page, each once: an object goes by its shorter name."""
    own = {name for names in PAGES.values() for name in names} - {f"voxsms.{d}" for d in DOORS}
    shorter = {id(getattr(voxsms, name)) for name in voxsms.__all__}
    pages: dict[str, list[str]] = {}
    for page, names in PAGES.items():
        pages[page] = found = []
        for name in names:
            if name.removeprefix("voxsms.") not in DOORS:
                found.append(name)
                continue
            module = import_module(name)
            for each in module.__all__:
                is_short = id(getattr(module, each)) in shorter
                public = f"voxsms.{each}" if is_short else f"{name}.{each}"
                if public not in own:
                    found.append(public)
    pages["errors"] = [
        f"voxsms.{name}"
        for name in voxsms.__all__
        if isinstance(kind := getattr(voxsms, name), type) and issubclass(kind, Exception)
    ] + ["voxsms.Fault"]
    return pages


def autodoc(page: str, names: Iterable[str]) -> str:
    """Return the directives that show the docstrings of these names."""
    lines = ["```{eval-rst}"]
    if page in DOORS:
        lines += [f".. module:: voxsms.{page}", ""]
    for name in names:
        module, _, last = name.rpartition(".")
        value = getattr(import_module(module), last)
        if isinstance(value, type):
            lines += [f".. autoclass:: {name}", "   :members:", "   :undoc-members:"]
            if issubclass(value, Exception):
                lines += ["   :show-inheritance:"]
        else:
            kind = "autofunction" if inspect.isroutine(value) else "autodata"
            lines += [f".. {kind}:: {name}"]
            if kind == "autodata":
                lines += ["   :no-value:"]
        lines.append("")
    return "\n".join([*lines, "```", ""])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def method_table() -> str:
    """Return the methods: their calls, wire names, summaries, and whether they charge and page."""

    def row(method: spec.AnyMethod) -> tuple[str, ...]:
        kind = spec.request_class(method)
        needed = spec.required(kind)
        names = [f"{n}=" if n in needed else f"[{n}=]" for n in spec.parameters(kind)]
        return (
            f"`{spec.python_name(method.cmd)}({', '.join(names)})`",
            f"`{method.cmd}`",
            method.summary,
            "yes" if method.charges else "no",
            "yes" if method.paged else "no",
        )

    return table(("call", "on the wire", "what it does", "charges", "pages"), map(row, spec.TABLE))


def error_tree() -> str:
    """Return the tree of errors as `voxsms.errors` draws it."""
    drawing = inspect.getdoc(import_module("voxsms.errors")) or ""
    lines = [line[4:] for line in drawing.splitlines() if line.startswith("    ")]
    return "\n".join(["```text", *lines, "```", ""])


def code_table() -> str:
    """Return the service's codes: what each means, what to do, and what it is raised as."""
    return table(
        ("code", "name", "meaning", "what to do", "error", "what became of the request"),
        (
            (
                str(row.code),
                f"`{row.name}`",
                *EXPLANATIONS[row.code],
                f"{{class}}`voxsms.{row.error.__name__}`",
                row.outcome,
            )
            for row in fault_codes.CODES.values()
        ),
    )


def fault_table() -> str:
    """Return the faults that the sandbox can inject."""
    return table(
        ("kind", "what happens", "delivered", "options"),
        (
            (
                f"`{kind.name}`",
                kind.doc,
                "yes" if kind.commits else "no",
                ", ".join(f"`{name}={value!r}`" for name, value in kind.options.items()),
            )
            for kind in (*KINDS.values(), *CALLBACK_KINDS.values())
        ),
    )


def keyword_table() -> str:
    """Return the words with which people opt out, opt in, or ask for help."""
    return table(
        ("asks for", "language", "also as the first word", "as the whole message", "source"),
        (
            (
                f"`{row.wanted}`",
                row.language,
                row.first,
                row.whole,
                SOURCES[row.source] if row.source else "common words, without a source",
            )
            for row in TABLE
        ),
    )


def rule_table() -> str:
    """Return the rule of the call loop."""
    return table(
        ("what is known", "raised by a send", "sent again", "raised by others", "asked again"),
        (
            (
                finding.value,
                rule.send.raises.value,
                rule.send.repeats.value,
                rule.other.raises.value,
                rule.other.repeats.value,
            )
            for finding, rule in loop.RULES.items()
        ),
    )


def command_help() -> str:
    """Return the help of each command, as the program prints it."""
    parts = []
    for name in sorted(command for command in app if not command.startswith("-")):
        printed = StringIO()
        console = rich.console.Console(file=printed, width=92, color_system=None)
        app.help_print([name], console=console)
        parts += [f"## {name}", "", "```text", printed.getvalue().rstrip(), "```", ""]
    return "\n".join(parts)


def transition_table() -> str:
    """Return the transitions between the states of an intent."""
    return table(
        ("event", "what happens", "from", "to"),
        (
            (
                event.name.lower(),
                event.value,
                ", ".join(f"`{state}`" for state in before),
                f"`{after}`",
            )
            for event, (before, after) in TRANSITIONS.items()
        ),
    )


PLACES = {
    State.PENDING: (80, 150),
    State.SENDING: (280, 150),
    State.SENT: (560, 40),
    State.UNKNOWN: (560, 150),
    State.REFUSED: (280, 280),
    State.AMBIGUOUS: (790, 100),
    State.PRESUMED_NOT_SENT: (790, 210),
}
"""The position of each state in the diagram."""
BENDS = {
    (State.PENDING, State.SENDING): ((130, 125), (230, 125)),
    (State.SENDING, State.PENDING): ((230, 175), (130, 175)),
    (State.REFUSED, State.PENDING): ((180, 290), (90, 230)),
    (State.UNKNOWN, State.PENDING): ((530, 410), (70, 410)),
    (State.PRESUMED_NOT_SENT, State.PENDING): ((760, 450), (40, 450)),
    (State.AMBIGUOUS, State.PENDING): ((960, 490), (0, 500)),
}
"""The control points of arrows that are not straight."""
HALF_WIDTH, HALF_HEIGHT = 72, 16
STYLE = (
    ".states path {fill: none; stroke: currentColor}"
    ".states marker path {fill: currentColor; stroke: none}"
    ".states .by-hand {stroke-dasharray: 5 4}"
    ".states rect {fill: var(--color-background-secondary, #eee); stroke: currentColor}"
    ".states text {font: 12px sans-serif; text-anchor: middle; fill: currentColor;"
    " paint-order: stroke; stroke: var(--color-background-primary, #fff); stroke-width: 4px}"
    ".states .state {font-weight: bold; stroke: none}"
)
"""The diagram uses the colours of the page, light or dark."""


def state_diagram() -> str:
    """Return a drawing of the states and the transitions between them, as SVG in Markdown.

    Its description says the same in words, for people who cannot see it.
    """
    arrows: dict[tuple[State, State], list[str]] = {}
    for event, (states, after) in TRANSITIONS.items():
        for before in states:
            arrows.setdefault((before, after), []).append(event.name.lower().replace("_", " "))
    told = "; ".join(f"{a} to {b}: {' or '.join(names)}" for (a, b), names in arrows.items())
    lines = [
        "```{raw} html",
        '<svg class="states" role="img" aria-labelledby="states-title states-told"',
        '  viewBox="0 0 890 410" xmlns="http://www.w3.org/2000/svg">',
        '<title id="states-title">The states of a message in an outbox</title>',
        f'<desc id="states-told">{told}.</desc>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"',
        '  markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/>',
        "</marker></defs>",
        f"<style>{STYLE}</style>",
    ]
    for (before, after), names in arrows.items():
        lines += _arrow(before, after, " / ".join(names))
    for state, (x, y) in PLACES.items():
        lines += [
            f'<rect x="{x - HALF_WIDTH}" y="{y - HALF_HEIGHT}" width="{2 * HALF_WIDTH}"',
            f'  height="{2 * HALF_HEIGHT}" rx="6"/>',
            f'<text class="state" x="{x}" y="{y + 5}">{state}</text>',
        ]
    return "\n".join([*lines, "</svg>", "```", "", ""])


Point = tuple[float, float]


def _arrow(before: State, after: State, label: str) -> list[str]:
    begin, end = PLACES[before], PLACES[after]
    first, second = BENDS.get((before, after), (end, begin))
    start, tip = _edge(begin, first), _edge(end, second)
    if (before, after) in BENDS:
        x, y = ((start[i] + 3 * first[i] + 3 * second[i] + tip[i]) / 8 for i in (0, 1))
        curve = f"C{_at(first)} {_at(second)} {_at(tip)}"
    else:
        x, y = ((start[i] + tip[i]) / 2 for i in (0, 1))
        curve = f"L{_at(tip)}"
    by_hand = ' class="by-hand"' if label == "resent" else ""
    return [
        f'<path{by_hand} d="M{_at(start)} {curve}" marker-end="url(#head)"/>',
        f'<text x="{x:.0f}" y="{y + 4:.0f}">{label}</text>',
    ]


def _at(point: Point) -> str:
    return f"{point[0]:.0f} {point[1]:.0f}"


def _edge(center: Point, towards: Point) -> Point:
    """Return the point where the line from a box's center to a point leaves the box."""
    across, down = towards[0] - center[0], towards[1] - center[1]
    share = min(
        HALF_WIDTH / abs(across) if across else 1e9, HALF_HEIGHT / abs(down) if down else 1e9
    )
    return center[0] + across * share, center[1] + down * share
