"""Counting fragments: `count_fragments` beside `text.encode("utf-16")` and peers, in the same run.

The floor is a function of one line, so that both sides pay for one call; `inline` is the ratio to
the bare expression. Ratios are medians over rounds, as a machine's speed changes meanwhile.
`python benchmarks/segmenter.py` prints the table.
"""

import argparse
import gc
import random
import statistics
import time
from collections.abc import Callable
from importlib import import_module

import attrs

from voxsms.text import count_fragments

TEXTS = 200
EMOJI = "😀🎉👍🚀❤"
Count = Callable[[str], object]


@attrs.frozen
class Row:
    """What was measured over one corpus: microseconds a text, and ratios to the floor."""

    corpus: str
    ours: float
    floor: float
    ratio: float
    inline: float
    target: float | None
    smsutil: float | None
    gsm0338: float | None


def _texts(letters: str, extras: list[str], share: float, low: int, high: int) -> list[str]:
    """Make texts of words from an alphabet, with extras between a share of them."""
    dice = random.Random(f"{letters}{extras}")  # noqa: S311  the same texts in every run

    def text() -> str:
        size, made = dice.randint(low, high), ""
        while len(made) < size:
            made += "".join(dice.choices(letters, k=dice.randint(2, 9)))
            made += (
                f" {dice.choice(extras)} " if dice.random() < share else dice.choice(" ,.!") + " "
            )
        return made[:size].strip() or letters[0]

    return [text() for _ in range(TEXTS)]


def corpora() -> list[tuple[str, list[str], float | None]]:
    """Return the corpora that have a target, and others that are harder or commoner."""
    latin, cyrillic = "abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя"
    prices = ["[A1]", "{7}", "5€", "12€", "99€", "déjà", "~", "Zürich", "für"]
    greek = "ABΓΔEZHΘIKΛMNΞOΠPΣTYΦXΨΩ"
    return [
        ("short ASCII, 20-160", _texts(latin, ["Ok"], 0.1, 20, 160), 2.6),
        ("GSM-7 with extensions, 100-600", _texts(latin, prices, 0.3, 100, 600), 5.3),
        ("Cyrillic and emoji, 20-400", _texts(cyrillic, list(EMOJI), 0.2, 20, 400), 2.1),
        ("ASCII, 160-600", _texts(latin, ["Ok"], 0.1, 160, 600), None),
        ("ASCII with brackets, 100-600", _texts(latin, ["[A1]"], 0.2, 100, 600), None),
        ("accents without euro sign, 100-600", _texts(latin, prices[-4:], 0.3, 100, 600), None),
        ("Greek capitals, 100-600", _texts(greek, ["Ok"], 0.1, 100, 600), 6.0),
        ("Greek capitals and euro, 100-600", _texts(greek, ["5€"], 0.1, 100, 600), 6.3),
        ("Greek capitals, brackets, 100-600", _texts(greek, ["[A1]"], 0.2, 100, 600), None),
        (
            "Greek with a few capitals",
            _texts("αβγδεζηθικλμνξοπρστυφχψωάέή", ["Σας"], 0.1, 100, 600),
            None,
        ),
        ("Latin and Cyrillic words, 20-400", _mixed(latin, cyrillic), None),
        ("Latin with one curly quote, 20-400", _quoted(_texts(latin, ["Ok"], 0.1, 20, 400)), None),
    ]


def _mixed(*alphabets: str) -> list[str]:
    """Put texts of both alphabets behind each other, half of them in either order."""
    first, second = (_texts(letters, ["Ok", "👍"], 0.1, 10, 200) for letters in alphabets)
    pairs = zip(first + second, second + first, strict=True)
    return [f"{one} {other}" for one, other in pairs][:: len(alphabets)]


def _quoted(texts: list[str]) -> list[str]:
    """Put one curly quote a third into each text, where no sample is taken."""
    return [f"{text[: len(text) // 3]}\u2019{text[len(text) // 3 :]}" for text in texts]


def _floor(text: str) -> object:
    return text.encode("utf-16")


def _seconds(count: Count, texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        count(text)
    return time.perf_counter() - began


def _inline_seconds(texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        text.encode("utf-16")
    return time.perf_counter() - began


def _peers() -> tuple[Count | None, Count | None]:
    """Give what smsutil counts, and a count on top of gsm0338's codec, where they are installed."""
    try:
        split = import_module("smsutil").split
        codec = import_module("gsm0338").Codec()
    except ImportError:
        return None, None

    def smsutil(text: str) -> int:
        return len(split(text).parts)

    def gsm0338(text: str) -> int:
        """Count as `ceil` does: the codec says nothing of where a pair may be cut."""
        try:
            units, single, part = len(codec.encode(text)[0]), 160, 153
        except UnicodeEncodeError:
            units, single, part = len(text.encode("utf-16-le")) // 2, 70, 67
        return 1 if units <= single else -(-units // part)

    return smsutil, gsm0338


def _measure(corpus: str, texts: list[str], target: float | None, rounds: int) -> Row:
    times = [
        (_seconds(count_fragments, texts), _seconds(_floor, texts), _inline_seconds(texts))
        for _ in range(rounds)
    ][rounds // 10 :]
    smsutil, gsm0338 = _peers()
    assert smsutil is None or [count_fragments(text) for text in texts] == [*map(smsutil, texts)]
    ours, floors, inlines = zip(*times, strict=True)
    scale = 1e6 / len(texts)
    return Row(
        corpus=corpus,
        ours=statistics.median(ours) * scale,
        floor=statistics.median(floors) * scale,
        ratio=statistics.median(map(float.__truediv__, ours, floors)),
        inline=statistics.median(map(float.__truediv__, ours, inlines)),
        target=target,
        smsutil=smsutil and _seconds(smsutil, texts) * scale,
        gsm0338=gsm0338 and _seconds(gsm0338, texts) * scale,
    )


def run(rounds: int = 200) -> list[Row]:
    """Measure every corpus."""
    gc.disable()
    try:
        return [_measure(*corpus, rounds) for corpus in corpora()]
    finally:
        gc.enable()


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=200)
    rows = run(arguments.parse_args().rounds)
    names = ("ours us", "floor us", "ratio", "target", "inline", "smsutil us", "gsm0338 us")
    print(f"{'corpus':36}" + "".join(f"{name:>12}" for name in names))
    for row in rows:
        figures = (row.ours, row.floor, row.ratio, row.target, row.inline, row.smsutil, row.gsm0338)
        cells = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
        print(f"{row.corpus:36}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
