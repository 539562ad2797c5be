"""What feeds write for nothing, for in stock and sold out, and for what is done with a row.

The words are of the channels that most exports are made for (schema.org, Google, Meta, Amazon,
Shopify, WooCommerce, Magento, PrestaShop) and of shops in a dozen languages. A word that is not
here is never taken for "in stock": `words:` of catalog.yaml says what it means.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

NULLS = frozenset(
    (
        *("", "null", "none", "nan", "n/a", "#n/a", "n.a.", "n/d", "nil", "undefined", "(null)"),
        *("<na>", "\\n", "-", "--", "—", "–", "nat", "<null>", "[]", "{}", "none available"),
    )
)
NULLS_AS_WRITTEN = frozenset(("NA",))  # "na" may be a word
_OPERATIONS = {
    "upsert": "upsert insert inserted add added create created new put update updated change "
    "changed modify modified replace merge partialupdate partial_update update_after i u c r a m +",
    "delete": "delete deleted del remove removed drop dropped d - x",
}
_AVAILABILITY = {
    "in_stock": (
        "in stock|instock|available|yes|true|y|in store only|instoreonly|online only|onlineonly|"
        "checked|✓|✔|☑|"
        "limited availability|limitedavailability|unlimited|low stock|lowstock|few left|in store|"
        "available now|ready to ship|in stock online|on stock|active|published|publish|enabled|"
        "for sale|on sale|live|made to order|madetoorder|"
        # de nl
        "auf lager|lieferbar|sofort lieferbar|verfügbar|sofort verfügbar|vorrätig|ja|lagernd|"
        "ab lager|ab lager lieferbar|an lager|wenige verfügbar|nur noch wenige|geringer bestand|"
        "op voorraad|leverbaar|direct leverbaar|beschikbaar|"
        # fr es it pt
        "en stock|disponible|oui|stock limité|en stock fournisseur|immédiatement disponible|"
        "expédié sous 24h|disponible immédiatement|en existencia|en existencias|hay stock|sí|si|"
        "disponibile|in magazzino|disponibilità immediata|disponível|em stock|em estoque|sim|"
        # sv da no fi pl cs hu tr ru ja zh ko
        "i lager|finns i lager|på lager|på lagret|varastossa|heti saatavilla|w magazynie|dostępny|"
        "dostępna|dostępne|na stanie|skladem|na skladě|raktáron|készleten|stokta|stokta var|mevcut|"
        "διαθέσιμο|άμεσα διαθέσιμο|σε απόθεμα|в наличии|есть в наличии|есть|на складе|"
        "在庫あり|在庫有り|在庫有|有货|有貨|现货|現貨|재고 있음|판매중|"
        "公開|公開中|販売中|掲載中|表示|上架|在售|진열함|"
        "aktywny|aktywna|widoczny|aktivní|aktiv|actif|activo|attivo|actief"
    ),
    "out_of_stock": (
        "out of stock|outofstock|oos|sold out|soldout|sold|unavailable|not available|"
        "currently unavailable|temporarily out of stock|temporarily unavailable|no stock|"
        "not in stock|no longer available|discontinued|end of life|eol|retired|obsolete|no|false|"
        "n|archived|archive|draft|inactive|disabled|hidden|private|trash|pending|deleted|blocked|"
        "not for sale|unpublished|out|expired|suspended|reserved|"
        "nicht auf lager|nicht lieferbar|nicht verfügbar|nicht vorrätig|ausverkauft|vergriffen|"
        "derzeit nicht verfügbar|zurzeit nicht lieferbar|momentan nicht verfügbar|nein|"
        "nicht mehr lieferbar|nicht mehr verfügbar|auslaufartikel|kein bestand|"
        "niet op voorraad|uitverkocht|niet leverbaar|niet beschikbaar|tijdelijk uitverkocht|nee|"
        "rupture|rupture de stock|en rupture|en rupture de stock|épuisé|épuisée|indisponible|"
        "non disponible|hors stock|temporairement indisponible|plus disponible|"
        "victime de son succès|"
        "agotado|agotada|sin stock|sin existencias|no disponible|fuera de stock|descatalogado|"
        "esaurito|esaurita|non disponibile|non in magazzino|fuori stock|terminato|"
        "esgotado|esgotada|indisponível|sem stock|sem estoque|fora de estoque|não disponível|não|"
        "slut i lager|slutsåld|ej i lager|tillfälligt slut|finns ej i lager|utsolgt|udsolgt|"
        "ikke på lager|ikke tilgjengelig|loppu|loppunut|loppuunmyyty|ei varastossa|ei saatavilla|"
        "brak|brak w magazynie|niedostępny|niedostępna|niedostępne|wyprzedany|wyprzedane|"
        "vyprodáno|není skladem|nedostupné|elfogyott|nincs raktáron|nincs készleten|stokta yok|"
        "tükendi|εξαντλημένο|μη διαθέσιμο|εξαντλήθηκε|"
        "нет в наличии|нет|распродано|отсутствует|снят с производства|"
        "在庫なし|在庫無し|品切れ|売り切れ|売切れ|完売|欠品|"
        "缺货|缺貨|无货|無貨|售罄|已售完|품절|재고 없음|매진|"
        "非公開|下書き|販売停止|販売終了|非表示|下架|已下架|停售|판매중지|진열안함|entwurf|brouillon|borrador|"
        "bozza|concept|nieaktywny|ukryty|szkic|inaktiv|inactif|inactivo|inattivo|inactief|archiviert|"
        "archivé|archivado|archiviato"
    ),
    "preorder": (
        "preorder|pre order|pre-order|presale|pre-sale|backorder|back order|backordered|"
        "onbackorder|on backorder|available for order|available on backorder|coming soon|"
        "comingsoon|available soon|on order|available to order|special order|"
        "vorbestellbar|vorbestellung|nachbestellt|bald verfügbar|demnächst|auf bestellung|"
        "bestellbar|vorverkauf|pre-orderen|binnenkort leverbaar|in bestelling|"
        "précommande|en précommande|sur commande|bientôt disponible|à paraître|"
        "preventa|por encargo|bajo pedido|próximamente|preordine|su ordinazione|in arrivo|"
        "disponibile su ordinazione|pré-venda|sob encomenda|em breve|beställningsvara|bestilles|"
        "förbeställning|przedsprzedaż|na zamówienie|předobjednávka|na objednávku|előrendelhető|"
        "ön sipariş|предзаказ|под заказ|"
        "予約|予約受付中|入荷待ち|お取り寄せ|取り寄せ|预售|預售|예약판매"
    ),
}
# where one of these stands anywhere, the goods are not to be had now, whatever else is said
_NEGATIVE = re.compile(
    r"out ?of ?stock|sold ?out|unavailable|not (currently )?available|no longer|not in stock|"
    r"no stock|discontinued|nicht |ausverkauft|vergriffen|niet |uitverkocht|rupture|epuise|"
    r"indisponible|non disponib|agotad|sin stock|no disponible|esaurit|esgotad|indisponivel|"
    r"slut i lager|slutsald|ikke |ej i lager|niedostep|wyprzedan|vyprodan|neni |нет |stokta yok|"
    r"品切|在庫なし|缺货|售罄|품절"
)
_LATER = re.compile(
    r"back ?order|pre ?-?order|soon|expected|coming|bald|demnachst|vorbestell|bientot|precommande|"
    r"proximamente|in arrivo|binnenkort|予約|入荷"
)
_MAX_WORDS = 200  # characters
_MIXED = re.compile(r"\b(but|except|only at|not|ab|from|until|bis|des)\b")
_STOCK = re.compile(
    r"(?:(?:stock|qty|quantity|bestand|lager|menge|cantidad|quantite)[ :=]*)?"
    r"(?:only |nur noch |noch |plus que |more than |less than |over |[<>~] ?)?"
    r"(-?\d+)(?:[.,]\d*)? ?\+?"
    r"(?: ?(?:in stock|left(?: in stock)?|available|pcs?|pieces|units?|items?|on hand|auf lager|"
    r"stuck|stk|verfugbar|vorratig|op voorraad|en stock|disponibles?|disponibili|in magazzino|"
    r"i lager|pa lager|szt|ks|шт|点|件|個)\.?)*"
)
_ABOUT = re.compile(r"(?:in stock|auf lager|en stock|op voorraad|in magazzino)[ :(]+(-?\d+)\)?")


def is_nothing(text: str, nulls: frozenset[str]) -> bool:
    """Whether a text is a word for a missing value; `nulls` are further ones, casefolded."""
    word = text.strip()
    folded = word.casefold()
    return folded in NULLS or word in NULLS_AS_WRITTEN or folded in nulls


def read_operation(value: Any, words: Mapping[str, str]) -> str | None:
    """upsert or delete; None for a word that is not known. `words`: further ones, casefolded."""
    text = str(value).strip().casefold()
    last = re.split(r"[./:]", text)[-1]  # product.deleted, products/update
    return words.get(text) or _OPERATION_OF.get(text) or _OPERATION_OF.get(last)


def read_availability(value: Any, words: Mapping[str, str]) -> str | None:
    """One of in_stock, out_of_stock, preorder; None for a text that is not known.

    Args:
        value: A text, a truth value or a number in stock.
        words: Further words, casefolded.
    """
    text = str(value)
    folded = " ".join(text.split()).casefold()
    for word in (text.strip().casefold(), folded):
        if word in words:
            return words[word]
    if isinstance(value, bool):
        return "in_stock" if value else "out_of_stock"
    if isinstance(value, int | float):
        return None if math.isnan(value) else "in_stock" if value > 0 else "out_of_stock"
    if len(folded) > _MAX_WORDS:  # a part of it may say the opposite of the whole
        return None
    text = _plain(folded)
    if text in _AVAILABILITY_OF:
        return _AVAILABILITY_OF[text]
    marked = " ".join(_without_accents(folded).split())
    marked = re.sub(r"(?<=\d) (?=\d{3}\b)", "", marked)  # 1 200
    if count := _STOCK.fullmatch(marked) or _ABOUT.match(marked):
        return "in_stock" if int(count[1]) > 0 else "out_of_stock"
    if _NEGATIVE.search(text + " "):
        return "out_of_stock"
    if _LATER.search(text):
        return "preorder"
    for phrase in _POSITIVE:
        if text.startswith(phrase + " ") and not _MIXED.search(text[len(phrase) :]):
            return "in_stock"
    return None


def _plain(text: str) -> str:
    """Without accents, schema.org's address, and marks between words."""
    text = _without_accents(text.rpartition("/")[2] if "://" in text else text)
    return " ".join(re.sub(r"[_\-.!,;/*\"'’]+", " ", text).split()) or text


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in decomposed if not unicodedata.combining(c))
    # NFC puts the parts of Korean syllables together again
    return unicodedata.normalize("NFC", text).replace("ł", "l").replace("ß", "ss")


_OPERATION_OF = {word: name for name, words in _OPERATIONS.items() for word in words.split()}
_AVAILABILITY_OF = {
    _plain(word.casefold()): name
    for name, words in _AVAILABILITY.items()
    for word in words.split("|")
}
_POSITIVE = sorted(
    (w for w, name in _AVAILABILITY_OF.items() if name == "in_stock" and " " in w),
    key=lambda word: (-len(word), word),
)
