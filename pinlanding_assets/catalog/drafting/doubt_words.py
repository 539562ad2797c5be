"""Words that say that a column could change what shoppers see: states, costs, sizes of images."""

from pinlanding_assets.catalog.drafting.words import said

MONEY = said(
    "price, prices, pricing, cost, costs, msrp, rrp, uvp, mrp, pvp, vk, ek, tarif, tarifa, tariff,"
    "estimate, betrag, importe, importo, montant, coste, costo, cout, kosten, preis, preise, prix,"
    "precio, precios, prezzo, prezzi, prijs, prijzen, preco, pris, cena, ceny, cijena, fiyat, "
    "hinta, pret, custo, koszt, amount, unitamount, listino, τιμη, цена, 価格, 定価, 売価, "
    "价格, 售价, 가격, valuation, bid, wert, schatzwert, ar, precos, kostpris, pries, kaina, hind"
)
MONEY_ENDS = ("preis", "prijs", "pris", "price", "prix", "kosten", "betrag", "wert", "価格")
SCALES = said("divisor, exponent, precision, scale, fraction, minor, decimals, digits, cents")
STATES = said(
    "archived, archive, deleted, removed, hidden, hide, active, inactive, status, state, visible,"
    "visibility, enabled, disabled, published, publish, unpublished, draft, discontinued, sold,"
    "sellable, salable, saleable, online, offline, listed, delisted, withdrawn, suppressed,"
    "available, blocked, deaccessioned, obsolete, expired, live, retired, private, approved,"
    "rejected, lifecycle, phase, stage, workflow, cancelled, closed, eol, buyable, purchasable,"
    "unavailable, suspended, aktiv, inaktiv, sichtbar, sichtbarkeit, versteckt, geloscht,"
    "archiviert, gesperrt, ausgelaufen, veroffentlicht, freigegeben, lieferbar, actif, inactif,"
    "masque, supprime, publie, archive, activo, activa, inactivo, oculto, eliminado, publicado,"
    "baja, vendible, attivo, nascosto, eliminato, pubblicato, stato, actief, zichtbaar, verborgen,"
    "verwijderd, gepubliceerd, verkocht, leverbaar, aktywny, widoczny, ukryty, usuniety, stan,"
    "synlig, skjult, dold, utgatt, slettet, ativo, excluido, estado, etat, statut, stav, aktivni,"
    "durum, aktif, vendu, vendido, venduto, verkauft, sprzedany, solgt, sald, tila, статус,"
    "активен, скрыт, удален, 状態, 公開, 非公開, 削除, 廃番, 状态, 下架, 상태"
)
STATE_VALUES = said(
    "active, inactive, archived, deleted, hidden, draft, visible, published, unpublished, private,"
    "enabled, disabled, discontinued, obsolete, retired, withdrawn, sold, pending, removed, eol,"
    "suspended, delisted, live, offline, online, expired, blocked, approved, rejected, deaccession,"
    "deaccessioned, phase out, end of life, on loan, aktiv, inaktiv, archiviert, entwurf, geloscht,"
    "versteckt, gesperrt, ausgelaufen, auslauf, verkauft, actif, inactif, brouillon, archive,"
    "supprime, vendu, activo, inactivo, borrador, baja, vendido, descatalogado, attivo, inattivo,"
    "bozza, venduto, actief, inactief, concept, gearchiveerd, verkocht, aktywny, nieaktywny,"
    "ukryty, szkic, kladde, utkast, solgt, ativo, inativo, rascunho, uitlopend, опубликован,"
    "черновик, архив, 公開, 非公開, 廃番, 下架, 上架"
)
HARMLESS = said(  # of truth values: they say nothing of whether a product is to be seen
    "featured, gift, tax, taxable, taxed, vat, shipping, ship, shippable, track, tracked, tracking,"
    "new, bestseller, digital, virtual, downloadable, review, reviews, comment, comments, policy,"
    "subscription, feature, highlight, top, sample, eco, organic, vegan, returnable, customizable,"
    "personalized, adult, fragile, oversize, hazmat, backorder, backorders, preorder, bundle, has,"
    "domain, copyright, copyrighted, timeline, loyalty, discount, discountable, points, favorite,"
    "verified, weight, requires, inventory, manage, waterproof, vegetarian, washable, rating,"
    "sale, deal, prime, fulfilled, image, images, name, alt, default, required, seo, primary"
)
GONE_DATES = said(
    "deleted, archived, removed, ended, end, ends, expires, expired, expiry, discontinued, until,"
    "withdrawn, retired, sold, unpublished, deaccessioned, geloscht, archiviert, bis, ende, baja,"
    "eliminado, supprime, fin, verwijderd, eliminato, closed, hidden, obsolete, auslauf"
)
STOCK = said(
    "stock, inventory, availability, available, onhand, bestand, lager, lagerbestand, verfugbar,"
    "verfugbarkeit, lieferbar, lieferzeit, delivery, disponible, disponibilidad, existencias,"
    "giacenza, disponibile, disponibilita, voorraad, beschikbaar, levertijd, quantity, qty, menge,"
    "quantite, cantidad, quantita, aantal, saldo, magazyn, dostepnosc, sklad, estoque, 在庫, 库存"
)
KEYS_OF_NOTHING = said(
    "attribute, attributes, value, values, name, data, key, field, fields, property, properties,"
    "text, node, item, option, options, id, type id, content, object, meta, en, default"
)
