"""What holds for every value that crosses the wire, whatever it is."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from voxsms.api import wire
from voxsms.api.models import DeliveryStatus, Direction, SmsCommand
from voxsms.api.wire import WireFaults

PHONE = wire.PhoneType()
SOURCE = wire.SenderType()
WORD = wire.StringType()
TEXT = wire.TextType(40)
COUNT = wire.IntType(1, 1000)
OFFSET = wire.IntType()
FLAG = wire.BoolType()
TIME = wire.TimeType()
DIRECTION = wire.ChoiceType(Direction)
COMMAND = wire.ChoiceType(SmsCommand)
STATUS = wire.ChoiceType(DeliveryStatus, wire=lambda status: str(status.number))
NUMBERS = wire.ListType(PHONE, 3, distinct=True)
IDS = wire.ListType(wire.IntType(1))
WORDS = wire.ListType(WORD)

_ASCII_DIGITS = "0123456789"
_PHONES = st.text(_ASCII_DIGITS, min_size=5, max_size=15).filter(lambda n: n[0] != "0")
_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
_ITEMS = _WORDS.filter(lambda word: ";" not in word)
_TIMES = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zones
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
)


@given(
    st.one_of(
        st.tuples(st.just(PHONE), _PHONES),
        st.tuples(st.just(WORD), _WORDS),
        st.tuples(st.just(TEXT), st.text("aé€Я\U0001f600;=&", min_size=1, max_size=20)),
        st.tuples(st.just(COUNT), st.integers(1, 1000)),
        st.tuples(st.just(OFFSET), st.integers(0, 2**63 - 1)),
        st.tuples(st.just(FLAG), st.booleans()),
        st.tuples(st.just(TIME), _TIMES.map(lambda t: t.replace(microsecond=0))),
        st.tuples(st.just(DIRECTION), st.sampled_from(Direction)),
        st.tuples(st.just(COMMAND), st.sampled_from(SmsCommand)),
        st.tuples(st.just(STATUS), st.sampled_from(DeliveryStatus)),
        st.tuples(
            st.just(NUMBERS), st.lists(_PHONES, min_size=1, max_size=3, unique=True).map(tuple)
        ),
        st.tuples(st.just(WORDS), st.lists(_ITEMS, min_size=1).map(tuple)),
        st.tuples(st.just(IDS), st.lists(st.integers(1, 2**63 - 1), min_size=1).map(tuple)),
    )
)
def test_what_is_written_is_read_back(crossing: tuple[wire.WireType, object]) -> None:
    """Every form is the same in both directions: client and sandbox mean the same value."""
    form, value = crossing
    text = form.write(value)
    assert form.read(text) == value
    assert form.write(form.read(text)) == text


@given(
    st.sampled_from(
        [PHONE, SOURCE, WORD, TEXT, COUNT, FLAG, TIME, DIRECTION, STATUS, NUMBERS, IDS]
    ),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.lists(st.one_of(st.text(), st.integers(), st.none())),
        st.datetimes(),
        st.just(Decimal(1)),
        st.just(object()),
    ),
)
def test_no_value_makes_a_form_fail_in_python_s_own_way(form: wire.WireType, value: object) -> None:
    """Whatever is given is either written or told as a fault; nothing else comes out."""
    try:
        text = form.write(value)
    except WireFaults:
        return
    assert text.encode()
    assert form.write(form.read(text)) == text
