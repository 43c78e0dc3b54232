"""Country codes: the code a number begins with, and numbers that no mobile phone there can have.

A spreadsheet drops the zero in front of 07700 900124, and the rest begins like a Russian number.
The service accepts it, so nothing refuses it; but Russian mobile numbers have one more digit, and
that shows the mistake.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

MAX_SHORT_CODE: Final = 6
"""The most digits in a short code: the shortest number with a country code has 7 (+683 4002)."""
_MAX_PLACES: Final = 5
_MAX_KINDS: Final = 5

Spell = Callable[[str, str | int], str]
"""Writes an option and its value, or `""`, for a message to a person."""


class CountryCode(NamedTuple):
    """A country code, and how many digits the mobile numbers with it have."""

    digits: str
    min_digits: int
    """Of a whole number, including the code."""
    max_digits: int
    drops_zero: bool
    """Whether the zero dialled inside the country is always dropped after the code."""
    country: str
    """The country or countries with the code."""


_TABLE: Final = """
1 10 - USA, Canada and others
20 10 0 Egypt
211 9 0 South Sudan
212 9 0 Morocco
213 9 0 Algeria
216 8 - Tunisia
218 9 0 Libya
220 7-9 - Gambia
221 9 - Senegal
222 8 - Mauritania
223 8 - Mali
224 9 - Guinea
225 10 - Ivory Coast
226 8 - Burkina Faso
227 8 - Niger
228 8 - Togo
229 10 - Benin
230 8 - Mauritius
231 7-9 0 Liberia
232 8 0 Sierra Leone
233 9 0 Ghana
234 10 0 Nigeria
235 8 - Chad
236 8 - Central African Republic
237 9 - Cameroon
238 7 - Cape Verde
239 7 - Sao Tome and Principe
240 9 - Equatorial Guinea
241 7-8 - Gabon
242 9 - Congo (Brazzaville)
243 7-9 0 Congo (Kinshasa)
244 9 - Angola
245 9 - Guinea-Bissau
246 7 - British Indian Ocean Territory
247 5 - Ascension Island
248 7 - Seychelles
249 9 0 Sudan
250 9 - Rwanda
251 9 0 Ethiopia
252 7-9 0 Somalia
253 8 - Djibouti
254 9 0 Kenya
255 9 0 Tanzania
256 9 0 Uganda
257 8 - Burundi
258 9 - Mozambique
260 9 0 Zambia
261 9 0 Madagascar
262 9 0 Réunion and Mayotte
263 9 0 Zimbabwe
264 9 0 Namibia
265 9 0 Malawi
266 8 - Lesotho
267 8 - Botswana
268 8 - Eswatini
269 7 - Comoros
27 5-9 0 South Africa
290 4-5 - Saint Helena
291 7 0 Eritrea
297 7 - Aruba
298 6 - Faroe Islands
299 6 - Greenland
30 10 - Greece
31 9-11 0 Netherlands
32 9 0 Belgium
33 9 0 France
34 9 - Spain
350 8 - Gibraltar
351 9 - Portugal
352 9 - Luxembourg
353 9 0 Ireland
354 7-9 - Iceland
355 9 0 Albania
356 8 - Malta
357 8 - Cyprus
358 6-10 0 Finland
359 8-9 0 Bulgaria
36 9 - Hungary
370 8 0 Lithuania
371 8 - Latvia
372 7-8 - Estonia
373 8 0 Moldova
374 8 0 Armenia
375 9 - Belarus
376 6-9 - Andorra
377 8-9 0 Monaco
378 8 - San Marino
380 9 0 Ukraine
381 8-10 0 Serbia
382 8 0 Montenegro
383 8 0 Kosovo
385 8-9 0 Croatia
386 8 0 Slovenia
387 8-9 0 Bosnia and Herzegovina
389 8 0 North Macedonia
39 9-10 - Italy
40 9 0 Romania
41 9 0 Switzerland
420 9 - Czechia
421 9 0 Slovakia
423 7-9 0 Liechtenstein
43 7-13 0 Austria
44 10 0 United Kingdom
45 8 - Denmark
46 9 0 Sweden
47 8 - Norway
48 9 - Poland
49 10-11 0 Germany
500 5 - Falkland Islands
501 7 - Belize
502 8 - Guatemala
503 8 - El Salvador
504 8 - Honduras
505 8 - Nicaragua
506 8 - Costa Rica
507 7-8 - Panama
508 6-9 - Saint Pierre and Miquelon
509 8 - Haiti
51 9 0 Peru
52 10 - Mexico
53 8 0 Cuba
54 10-11 0 Argentina
55 10-11 0 Brazil
56 9 - Chile
57 10 0 Colombia
58 10 0 Venezuela
590 9 0 Guadeloupe and others
591 8 0 Bolivia
592 7 - Guyana
593 9 0 Ecuador
594 9 - French Guiana
595 9 - Paraguay
596 9 - Martinique
597 7 - Suriname
598 8 - Uruguay
599 7-8 - Curaçao and others
60 9-10 0 Malaysia
61 9 0 Australia
62 9-12 - Indonesia
63 10 0 Philippines
64 8-10 0 New Zealand
65 8 - Singapore
66 9 0 Thailand
670 8 - East Timor
672 6 - Norfolk Island
673 7 - Brunei
674 7 - Nauru
675 8 - Papua New Guinea
676 7 - Tonga
677 5-7 - Solomon Islands
678 7 - Vanuatu
679 7 - Fiji
680 7 - Palau
681 6 - Wallis and Futuna
682 5 - Cook Islands
683 4-7 - Niue
685 7-10 - Samoa
686 8 - Kiribati
687 6 - New Caledonia
688 6-7 - Tuvalu
689 8 - French Polynesia
690 4-7 - Tokelau
691 7 - Micronesia
692 7 - Marshall Islands
7 10 - Russia and Kazakhstan
81 10 - Japan
82 9-10 - South Korea
84 9 0 Vietnam
850 10 0 North Korea
852 8 - Hong Kong
853 8 - Macao
855 8-9 0 Cambodia
856 9-10 0 Laos
86 11 0 China
880 10 0 Bangladesh
886 9 0 Taiwan
90 10 0 Turkey
91 10 0 India
92 10 0 Pakistan
93 9 0 Afghanistan
94 9 0 Sri Lanka
95 7-10 0 Myanmar
960 7 - Maldives
961 7-8 0 Lebanon
962 9 0 Jordan
963 9 0 Syria
964 10 0 Iraq
965 8 - Kuwait
966 9 0 Saudi Arabia
967 9 0 Yemen
968 8 - Oman
970 9 0 Palestine
971 9 0 United Arab Emirates
972 9 0 Israel
973 8 - Bahrain
974 8 - Qatar
975 8 - Bhutan
976 8 0 Mongolia
977 10 0 Nepal
98 10 0 Iran
992 9 - Tajikistan
993 8 - Turkmenistan
994 9 0 Azerbaijan
995 9 0 Georgia
996 9 0 Kyrgyzstan
998 9 - Uzbekistan
"""
"""Country code, digits of mobile numbers after it, the zero that is dropped, and the country.

Source: libphonenumber, the possible lengths of mobile numbers in all regions of a code, the
national prefix 0 and the patterns of all numbers.
"""


def _read_table() -> dict[str, CountryCode]:
    found: dict[str, CountryCode] = {}
    for line in _TABLE.strip().splitlines():
        code, lengths, prefix, name = line.split(" ", 3)
        least, _, most = lengths.partition("-")
        found[code] = CountryCode(
            code, len(code) + int(least), len(code) + int(most or least), prefix == "0", name
        )
    return found


COUNTRY_CODES: Final = _read_table()
"""Each country code by its digits; none is a prefix of another."""


def find_country_code(digits: str) -> CountryCode | None:
    """Return the country code that a number begins with."""
    get = COUNTRY_CODES.get
    return get(digits[:2]) or get(digits[:3]) or get(digits[:1])


def is_short_code(digits: str) -> bool:
    """Return whether a number exists only in one country's networks, such as 12345."""
    return len(digits) <= MAX_SHORT_CODE


class DoubtfulNumbers:
    """Finds the numbers in a list that no mobile phone in their country can have.

    Args:
        place: What a number's position is called, such as `line`.
        spell: How options are written.
        region: The region that the numbers were read with.
        strict: Whether impossible numbers were refused.
    """

    def __init__(self, place: str, spell: Spell, region: str | None, *, strict: bool) -> None:
        self._place = place
        self._ways: list[str] = []
        if region is None:
            missing = "the country code or a 0 in front may be missing"
            self._ways.append(f"{missing}: {advise_region(spell)}")
        if not strict:
            self._ways.append(f"{spell('strict_numbers', '')} refuses impossible numbers")
        # By country code and length; 8 bytes a number.
        self._places: defaultdict[tuple[CountryCode | None, int], array[int]]
        self._places = defaultdict(lambda: array("Q"))

    def add(self, digits: str, place: int) -> None:
        """Check a number, and remember its position if it is doubtful."""
        code, length = find_country_code(digits), len(digits)
        is_mobile = code and code.min_digits <= length <= code.max_digits
        if not is_mobile and not is_short_code(digits):  # reported as unpriced instead
            self._places[code, length].append(place)

    def describe(self) -> list[str]:
        """Say what they were taken for, the most frequent first, and what to do about it."""
        ranked = sorted(self._places.items(), key=lambda item: -len(item[1]))
        told = [_describe(*kind, self._place, at) for kind, at in ranked[:_MAX_KINDS]]
        if rest := sum(len(at) for _, at in ranked[_MAX_KINDS:]):
            told.append(f"{rest:,} more are like this, of other countries")
        if told and self._ways:
            told.append("; ".join(self._ways))
        return told


def _describe(code: CountryCode | None, length: int, place: str, at: Sequence[int]) -> str:
    several = len(at) > 1
    where = f"{place}{'s' * several} {', '.join(map(str, at[:_MAX_PLACES]))}"
    more = f" and {len(at) - _MAX_PLACES:,} more" if len(at) > _MAX_PLACES else ""
    numbers = f"{len(at):,} number{'s' * several} ({where}{more})"
    if code is None:
        return f"{numbers} {'begin' if several else 'begins'} with the code of no country"
    least, most = code.min_digits, code.max_digits
    digits = f"{least}" if least == most else f"{least} to {most}"
    return (
        f"{numbers} {'were' if several else 'was'} taken for {code.country} (+{code.digits}), but "
        f"{'have' if several else 'has'} {length} digits; mobile numbers there have {digits}"
    )


def advise_region(spell: Spell) -> str:
    """Say how to allow numbers without a country code."""
    return f"name their country, such as {spell('region', 'GB')}"
