"""STOP, START and HELP in the words that people write.

Sources: for English CTIA's Messaging Principles and Best Practices (2023), 5.1.3, and 47 CFR
64.1200(a)(10) (stop, quit, end, revoke, opt out, cancel, unsubscribe); for French AF2M's rules
(STOP, CONTACT); for the others the words that national rules and operators name.
"""

import re
import unicodedata
from enum import StrEnum


class Keyword(StrEnum):
    """What somebody asks for with one word."""

    STOP = "STOP"
    """No more messages."""
    START = "START"
    """Messages again. "Yes" does not say it: it may answer another question."""
    HELP = "HELP"
    """Who writes, and how to stop it."""


# By language: words that say it also when more words follow ("STOP writing to me"), then words that
# say it only as the whole message ("End" is a request, "End of June suits me" is not).
_WORDS: dict[Keyword, dict[str, tuple[str, str]]] = {
    Keyword.STOP: {
        "en": ("stop stopall unsubscribe optout opt-out revoke", "end quit cancel remove"),
        "de": ("stopp abmelden austragen", "abbestellen ende"),
        "fr": ("arret desabonner desinscrire", "arreter desabonnement"),
        "es": ("baja desuscribir", "alto parar cancelar detener"),
        "pt": ("sair descadastrar", "parar cancelar remover"),
        "it": ("disiscriviti disiscrivi", "basta cancella ferma"),
        "nl": ("afmelden uitschrijven", "stoppen"),
        "pl": ("wypisz rezygnuje", "koniec anuluj rezygnacja"),
        "cs": ("odhlasit", "konec zrusit"),
        "sv, no, da": ("stop stopp avregistrera avmeld afmeld", "sluta avsluta slutt"),
        "fi": ("peruuta", "lopeta seis"),
        "tr": ("ret", "iptal dur cik"),
        "ru": ("стоп отписаться отписка отпишите", "хватит отмена"),
        "uk": ("відписатися відписка", "скасувати досить"),
        "el": ("στοπ διαγραφη", "τελος"),
        "he": ("הסר", "עצור די"),
        "ar": ("إيقاف", "توقف الغاء"),
        "zh": ("退订 退訂", "td t 取消 停止"),
        "ja": ("配信停止", "停止 解除"),
        "ko": ("수신거부", "중지 거부"),
        "vi": ("huy", "dung"),
        "id, ms": ("berhenti", "batal henti"),
    },
    Keyword.START: {
        "en": ("unstop resubscribe subscribe optin opt-in", "start"),
        "de": ("anmelden", ""),
        "fr": ("reabonner", ""),
        "es": ("alta suscribir", "inicio"),
        "pt": ("inscrever", "iniciar"),
        "it": ("iscriviti iscrivi", "inizia"),
        "ru": ("подписаться", "старт"),
        "uk": ("підписатися", ""),
    },
    Keyword.HELP: {
        "en": ("", "help info"),
        "de": ("", "hilfe"),
        "fr": ("", "aide contact"),
        "es": ("", "ayuda"),
        "pt": ("", "ajuda"),
        "it": ("", "aiuto"),
        "pl": ("", "pomoc"),
        "ru": ("", "помощь справка"),
        "uk": ("", "допомога"),
        "tr": ("", "yardim"),
    },
}
_NO_WORD = re.compile(r"[^\w-]+|_+")
_MAX_CHARACTERS = 1600
_DOTLESS_I = "\u0131"  # which has no decomposition


def _fold(text: str) -> str:
    """Fold case and accents: `Ré-abonner` and `re-abonner` are one word."""
    parts = unicodedata.normalize("NFKD", text.replace(_DOTLESS_I, "i"))
    return "".join(c for c in parts if not unicodedata.combining(c)).casefold()


_FIRST = {
    _fold(word): wanted
    for wanted, languages in _WORDS.items()
    for first, _ in languages.values()
    for word in first.split()
}
_WHOLE = _FIRST | {
    _fold(word): wanted
    for wanted, languages in _WORDS.items()
    for _, whole in languages.values()
    for word in whole.split()
}


def keyword(text: str) -> Keyword | None:
    """Return what a message asks for, if it is one of the words known for it.

    Case, accents and punctuation do not count. The word is the whole message or, where it cannot
    begin a message that means something else, the first word of it.

    Args:
        text: the text of an inbound message.
    """
    words = [word.strip("-") for word in _NO_WORD.split(_fold(text[:_MAX_CHARACTERS]))]
    words = [word for word in words if word]
    if len(words) == 1 or len(set(words)) == 1:  # "stop stop stop"
        return _WHOLE.get(words[0])
    # "opt out" is "optout"
    return (_FIRST.get(words[0]) or _WHOLE.get("".join(words))) if words else None
