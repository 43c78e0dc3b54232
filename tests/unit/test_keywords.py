"""STOP is understood in the words that people write, and not where they say something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.errors import InvalidRequest
from voxsms.webhooks import Keyword, MemoryOptOuts, keyword
from voxsms.webhooks._keywords import SOURCES, TABLE


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "“STOP”", "STOP!!!", "stop stop", "Stop writing to me",
        "STOPP", "UNSUBSCRIBE", "Unsubscribe me please", "opt out", "OPT-OUT", "optout", "END",
        "Opt out, please", "S.T.O.P.",
        "cancel", "Arrêt", "ARRET", "désabonner", "BAJA", "Sair", "SAİR", "iptal", "İPTAL",
        "СТОП", "Стоп, хватит", "відписатися", "ΣΤΟΠ", "στοπ", "הסר", "إيقاف", "退订", "TD",
        "配信停止", "수신거부", "Wypisz", "ret", "Odhlásit", "HỦY",
    ],
)  # fmt: skip
def test_stop(text: str) -> None:
    """In many languages; case, accents and punctuation do not count."""
    assert keyword(text) is Keyword.STOP


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "...", "Don't stop", "End of June suits me", "Cancel my appointment at 3",
        "Quit smoking today!", "Yes", "ok", "I will be at the bus stop", "stopwatch", "Ende gut",
        "Alto Adige", "Info about prices", "👍", "non stop", "T-shirt", "un stop à Paris", "opt",
    ],
)  # fmt: skip
def test_what_says_something_else(text: str) -> None:
    """A word that can begin another message counts only as the whole message."""
    assert keyword(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("START", Keyword.START), ("unstop", Keyword.START), ("Alta", Keyword.START),
        ("opt in", Keyword.START), ("HELP", Keyword.HELP), ("info?", Keyword.HELP),
        ("Hilfe", Keyword.HELP), ("Помощь", Keyword.HELP),
    ],
)  # fmt: skip
def test_start_and_help(text: str, wanted: Keyword) -> None:
    """The way back, and the question who writes."""
    assert keyword(text) is wanted


def test_each_word_of_the_table_says_what_it_stands_for() -> None:
    """As it is, in capitals, and with a word behind it where that leaves no doubt."""
    for row in TABLE:
        for word in (*row.first.split(), *row.whole.split()):
            assert keyword(word) is keyword(f"{word.upper()}!") is row.wanted, word
        for word in row.first.split():
            assert keyword(f"{word} 7711") is row.wanted, word
        for word in set(row.whole.split()) - {
            each for all_ in TABLE for each in all_.first.split()
        }:
            assert keyword(f"{word} 7711") is None, word


def test_each_source_is_used_and_named() -> None:
    """A word without one says so by having none."""
    assert {row.source for row in TABLE} - {""} == SOURCES.keys()


@given(st.text())
def test_any_text_can_be_asked(text: str) -> None:
    """Whatever somebody writes."""
    assert keyword(text) in (None, *Keyword)


def test_a_huge_text_takes_no_time() -> None:
    """Only as much of it is looked at as a message can hold."""
    assert keyword("stop " * 1_000_000) is Keyword.STOP


async def test_the_list_knows_a_number_however_it_is_written() -> None:
    """It is put on the list, and off it again."""
    opt_outs = MemoryOptOuts()
    await opt_outs.add("447443332212")
    assert await opt_outs.contains("+44 7443 332212")
    assert not await opt_outs.contains("447443332213")
    await opt_outs.remove("+447443332212")
    assert not await opt_outs.contains("447443332212")


@pytest.mark.parametrize(
    "number",
    [
        "07700 900123",
        "4,4744E+11",
        "+44 (0)7443 332212",
        "447443332212 (Ann)",
        "tel:+447443332212",
        "whatsapp:+447443332212",
    ],
)
async def test_a_number_that_would_never_be_found_is_refused(number: str) -> None:
    """Whoever is put on the list by hand would get messages nevertheless."""
    opt_outs = MemoryOptOuts()
    with pytest.raises(InvalidRequest, match="number"):
        await opt_outs.add(number)
    with pytest.raises(InvalidRequest, match="number"):
        await opt_outs.contains(number)


@pytest.mark.parametrize("sender", ["VOXSMS", "Shop 24", "BANK24365", "A1234567", "12345"])
async def test_a_sender_with_a_name_can_be_put_on_the_list(sender: str) -> None:
    """A callback of it must not fail; nor one of a short code."""
    opt_outs = MemoryOptOuts()
    await opt_outs.add(sender)
    assert await opt_outs.contains(sender)
