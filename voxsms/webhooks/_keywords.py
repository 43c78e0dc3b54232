"""The words people write for STOP, START and HELP: a table with its sources."""

import re
import unicodedata
from enum import StrEnum

import attrs


class Keyword(StrEnum):
    """What someone asks for with one word."""

    STOP = "STOP"
    """To receive no more messages."""
    START = "START"
    """To receive messages again. "Yes" does not count: it may answer another question."""
    HELP = "HELP"
    """To know who is writing, and how to stop it."""


@attrs.frozen
class Words:
    """A row of the table: words of one language that ask for the same thing."""

    wanted: Keyword
    language: str
    source: str
    """Where they are documented, a key of `SOURCES`; empty for common words without a source."""
    first: str = ""
    """Words that count even if more words follow: "STOP writing to me"."""
    whole: str = ""
    """Words that count only as the whole message: "End", but not "End of June suits me"."""


SOURCES = {
    "FCC": "[47 CFR 64.1200(a)(10)]"
    "(https://www.govinfo.gov/content/pkg/FR-2024-03-05/html/2024-04587.htm), USA",
    "CTIA": "CTIA, Messaging Principles and Best Practices (2023), 5.1.3, and the [Short Code"
    " Monitoring Handbook](https://usshortcodedirectory.com/ctia-short-code-monitoring-handbook/)",
    "CWTA": "CWTA, Canadian Common Short Code Application Guidelines 3.9, by [Infobip]"
    "(https://support.infobip.com/docs/essentials/usa-and-canada-compliance/canadian-mandatory-keyword-responses)",
    "CST": "[CST]"
    "(https://www.cst.gov.sa/en/RulesandSystems/RegulatoryDocuments/GeneralGuidelinesforUsers/Pages/CITCUnsubscriptiontoSMSServices.aspx),"
    " Saudi Arabia",
    "IYS": "IYS, the consent registry of Turkey, by [Netmera]"
    "(https://user.netmera.com/netmera-developer-guide/integrations/via-integration/etk-rejection-via-sms)",
    "Morgan": "Morgan, Code of Conduct of Sweden, by [Message Cloud]"
    "(https://docs.messagecloud.com/article/201-campaign-guidance-sweden)",
    "AWS": "[AWS](https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html)",
    "Bird": "[Bird]"
    "(https://docs.bird.com/api/channels-api/api-reference/compliance-keywords-messages)",
    "Braze": "[Braze](https://www.braze.com/docs/user_guide/channels/sms_mms_and_rcs/"
    "message_features_and_optimization/keyword_processing/optin_optout)",
    "Brevo": "[Brevo](https://help.brevo.com/hc/en-us/articles/208723209)",
    "Sinch": "[Sinch](https://community.sinch.com/t5/Conversation-API/"
    "Can-I-customize-opt-in-and-opt-out-keywords-for-use-with-consent/ta-p/18980)",
    "Twilio": "[Twilio](https://www.twilio.com/help/faq/short-codes/"
    "what-are-the-requirements-for-a-spanish-language-short-code)",
    "Sent, Germany": "[Sent](https://www.sent.dm/resources/de_sms_guidance)",
    "Sent, Sweden": "[Sent](https://www.sent.dm/resources/sweden-sms-guide)",
    "Sent, Brazil": "[Sent](https://www.sent.dm/resources/brazil-sms-guide)",
    "Sent, Portugal": "[Sent](https://www.sent.dm/resources/pt_sms_guidance)",
}
"""Rules of states and operators, then documentation of gateways. As of November 2026."""

_STOP, _START, _HELP = Keyword.STOP, Keyword.START, Keyword.HELP
TABLE = (
    Words(_STOP, "English", "FCC", "stop revoke optout unsubscribe", "quit end cancel"),
    Words(_STOP, "English", "AWS", "opt-out", "remove"),
    Words(_STOP, "English", "Braze", "stopall"),
    Words(_STOP, "French", "CWTA", "arret"),
    Words(_STOP, "French", "", "desabonner desinscrire", "arreter desabonnement"),
    Words(_STOP, "Spanish", "Twilio", whole="alto"),
    Words(_STOP, "Spanish", "Sinch", whole="detener salir"),
    Words(_STOP, "Spanish", "", "baja desuscribir", "parar cancelar"),
    Words(_STOP, "Portuguese", "Sent, Brazil", "sair", "pare"),
    Words(_STOP, "Portuguese", "Sent, Portugal", whole="cancelar parar"),
    Words(_STOP, "Portuguese", "", "descadastrar", "remover"),
    Words(_STOP, "German", "Sent, Germany", "stopp", "ende"),
    Words(_STOP, "German", "Bird", whole="halt"),
    Words(_STOP, "German", "", "abmelden austragen", "abbestellen"),
    Words(_STOP, "Italian", "Bird", whole="ferma"),
    Words(_STOP, "Italian", "", "disiscriviti disiscrivi", "basta cancella"),
    Words(_STOP, "Polish", "Bird", whole="zatrzymaj"),
    Words(_STOP, "Polish", "", "wypisz rezygnuje", "koniec anuluj rezygnacja"),
    Words(_STOP, "Russian", "Bird", whole="остановить"),
    Words(_STOP, "Russian", "", "стоп отписаться отписка отпишите", "хватит отмена"),
    Words(_STOP, "Swedish", "Morgan", "stopp"),
    Words(_STOP, "Swedish", "Sent, Sweden", whole="avsluta"),
    Words(_STOP, "Norwegian", "Brevo", "unsub"),
    Words(_STOP, "Swedish, Norwegian, Danish", "", "avregistrera avmeld afmeld", "sluta slutt"),
    Words(_STOP, "Turkish", "IYS", "ret"),
    Words(_STOP, "Turkish", "", whole="iptal dur cik"),
    Words(_STOP, "Chinese", "AWS", whole="td"),
    Words(_STOP, "Chinese", "", "退订 退訂", "t 取消 停止"),
    Words(_STOP, "Arabic", "CST", whole="غ u"),
    Words(_STOP, "Arabic", "", "إيقاف", "توقف الغاء"),
    Words(_STOP, "Dutch", "", "afmelden uitschrijven", "stoppen"),
    Words(_STOP, "Czech", "", "odhlasit", "konec zrusit"),
    Words(_STOP, "Finnish", "", "peruuta", "lopeta seis"),
    Words(_STOP, "Ukrainian", "", "відписатися відписка", "скасувати досить"),
    Words(_STOP, "Greek", "", "στοπ διαγραφη", "τελος"),
    Words(_STOP, "Hebrew", "", "הסר", "עצור די"),
    Words(_STOP, "Japanese", "", "配信停止", "停止 解除"),
    Words(_STOP, "Korean", "", "수신거부", "중지 거부"),
    Words(_STOP, "Vietnamese", "", "huy", "dung"),
    Words(_STOP, "Indonesian, Malay", "", "berhenti", "batal henti"),
    Words(_START, "English", "Braze", "unstop", "start"),
    Words(_START, "English", "Sinch", "subscribe"),
    Words(_START, "English", "", "resubscribe optin opt-in"),
    Words(_START, "Spanish", "Sinch", whole="volver recibir"),
    Words(_START, "Spanish", "", "alta suscribir", "inicio"),
    Words(_START, "Portuguese", "Sinch", whole="voltar receber"),
    Words(_START, "Portuguese", "", "inscrever", "iniciar"),
    Words(_START, "German", "", "anmelden"),
    Words(_START, "French", "", "reabonner"),
    Words(_START, "Italian", "", "iscriviti iscrivi", "inizia"),
    Words(_START, "Russian", "", "подписаться", "старт"),
    Words(_START, "Ukrainian", "", "підписатися"),
    Words(_HELP, "English", "CTIA", whole="help info"),
    Words(_HELP, "French", "CWTA", whole="aide info"),
    Words(_HELP, "French", "", whole="contact"),
    Words(_HELP, "Spanish", "Twilio", whole="ayuda"),
    Words(_HELP, "Portuguese", "Sent, Brazil", whole="ajuda"),
    Words(_HELP, "German", "Bird", whole="hilfe"),
    Words(_HELP, "Italian", "Bird", whole="aiuto"),
    Words(_HELP, "Dutch", "Bird", whole="hulp"),
    Words(_HELP, "Polish", "Bird", whole="pomocy"),
    Words(_HELP, "Polish", "", whole="pomoc"),
    Words(_HELP, "Russian", "Bird", whole="помощь"),
    Words(_HELP, "Russian", "", whole="справка"),
    Words(_HELP, "Ukrainian", "", whole="допомога"),
    Words(_HELP, "Turkish", "", whole="yardim"),
)
"""The words people write, without accents, as messages are compared without them."""

_NO_WORD = re.compile(r"[^\w-]+|_+")
_MAX_CHARACTERS = 1600
_DOTLESS_I = "\u0131"  # which has no decomposition


def _fold(text: str) -> str:
    """Fold case and accents: `Ré-abonner` and `re-abonner` are one word."""
    parts = unicodedata.normalize("NFKD", text.replace(_DOTLESS_I, "i"))
    return "".join(c for c in parts if not unicodedata.combining(c)).casefold()


_FIRST = {_fold(word): row.wanted for row in TABLE for word in row.first.split()}
_WHOLE = _FIRST | {_fold(word): row.wanted for row in TABLE for word in row.whole.split()}


def keyword(text: str) -> Keyword | None:
    """Return what a message asks for, if it is one of the known words.

    Case, accents and punctuation do not count. The word is the whole message or, if it cannot begin
    a message that means something else, the first word of it. The documentation has the table of
    words with their sources.

    Args:
        text: the text of an inbound message.
    """
    words = [word.strip("-") for word in _NO_WORD.split(_fold(text[:_MAX_CHARACTERS]))]
    words = [word for word in words if word]
    if len(words) == 1 or len(set(words)) == 1:  # "stop stop stop"
        return _WHOLE.get(words[0])
    first, two, whole = ("".join(words[:count]) for count in (1, 2, None))
    if _FIRST.get(two) is _STOP:  # "opt out, please"; but "un stop" in Paris is no "unstop"
        return _STOP
    return _FIRST.get(first) or _WHOLE.get(whole)  # "s.t.o.p" is "stop"
