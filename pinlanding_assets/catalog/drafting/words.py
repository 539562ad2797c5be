"""Names that columns have in the wild, in several languages: the best name of a field comes first.

Names are compared without case, accents, marks and words like "product" (`names.py`).
"""


def listed(text: str) -> tuple[str, ...]:
    """The names in a text, in their order."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def said(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(listed(text))


# words that say nothing about what a column means, at the beginning of its name
NOISE = said(
    "prod, product, products, item, items, artikel, article, articulo, articolo, produkt, producto,"
    "produit, prodotto, variant, variants, varianten, goods, node, source, data, our, the,"
    "master, current, object, record, work, artwork, garment, listing, offers, offer, sku, produto,"
    "artigo, produktu, towaru, zbozi, tovaru, urun, produs, προιοντοσ, προιον, ειδουσ, товара,"
    "dc, dcterms, 商品, 产品, 상품"
)

FIELDS: dict[str, tuple[str, ...]] = {
    "id": listed(
        "id, product id, productid, item id, article id, artikel id, sku, artikelnr, product code,"
        "item code,"
        "artikelnummer, artikel nr, artikel nummer, artikel id, produktnummer, produktnr,"
        "produkt id, bestellnummer, bestellnr, art nr, artnr, article number, item number,"
        "product number, uniq id, unique id, uid, uuid, item sku, asin, parent asin, handle,"
        "product key, item no, product no, article no, article id, object id, objectid,"
        "object number, accession number, inventory number, inventarnummer, inventar nr,"
        "referencia, reference, ref, reference produit, codigo, codice, codice articolo,"
        "code article, code, artikelcode, productcode, productnummer, identifier, key,"
        "custom label, κωδικος, sell code, kodu, stok kodu, kod, kod produktu, indeks, symbol,"
        "varenummer, varenr,"
        "tuotenumero, tuotekoodi,"
        "cikkszam, cod, sifra, 商品コード, 商品番号, 品番, 型番, 商品id, 商品编号, 货号, 编码,"
        "상품코드, артикул, код,"
        "resource id, media id, work id, entry id, photo id, picture id, document id,"
        "nummer artikel,"
        "identifiant, identificador, sachnummer, materialnummer, style id, style code,"
        "style number, @id, guid, gtin, ean, ean13, barcode, isbn, upc, mpn, numero d inventaire,"
        "accession, filename, file name, image id, image name, image path, file path, path,"
        "filepath, asset id, image file, row id, pid, item, no, nr, num, number, numero, nummer,"
        "sku id, skuid, spu, product uid, ref no, record id, image, image url, file, url, link,"
        "product url, title"
    ),
    "parent": listed(
        "parent sku, parent id, parent, parent product id, parent product, parent code,"
        "ubergeordnetes produkt, ubergeordnet, produit parent, parent produit, superior,"
        "producto superior, genitore, prodotto genitore, bovenliggend, hoofdproduct"
    ),
    "operation": listed(
        "operation, op, action, change type, change, event, event type, event name,"
        "update delete, dml type, cdc operation, row kind, rowkind, is deleted, deleted, delete,"
        "isdeleted, delete flag, tombstone, removed, geloscht, aktion, cdc"
    ),
    "title": listed(
        "title, name, product name, product title, item name, item title, display name,"
        "displayname, full name, productname, bezeichnung, artikelbezeichnung, artikelname,"
        "produktname, produktbezeichnung, titel, benennung, kurzbezeichnung, nom, nom du produit,"
        "designation, libelle, intitule, titre, nombre, nombre del producto, titulo,"
        "denominazione, nome, nome prodotto, titolo, naam, productnaam, artikelnaam,"
        "omschrijving kort, headline, product, produkt, producto, produit, prodotto, artikel,"
        "article, item, object title, dc title, short title, object name, caption, text,"
        "short description, prompt, label, subject, nazwa, namn, navn, nimi, nazev, megnevezes,"
        "商品名, title short, title long, ονομα, τιτλος, 品名, 名称, 상품명, название,"
        "наименование, articulo, articolo, artigo,"
        "produto, naziv,"
        "denumire, denominacion, benamning, produktnamn, produktnavn, varenavn, varunamn,"
        "tuotenimi, tuote,"
        "termeknev, ime, adı, urun adı, 品名, 产品名称, 商品标题, 商品名称, 商品タイトル,"
        "タイトル, 제품명, gegenstand, objekt, werktitel, objet, oggetto, objeto, przedmiot,"
        "primary title, main title, preferred title"
    ),
    "description": listed(
        "description, desc, detail desc, detailed description, long description,"
        "product description, item description, full description,"
        "body html, body, description html, descriptionhtml, body text, beschreibung,"
        "langbeschreibung, artikelbeschreibung, produktbeschreibung, langtext, langbezeichnung,"
        "beschreibungstext, descripcion, descripcion larga, descrizione, descrizione lunga,"
        "description longue, descriptif, omschrijving, beschrijving, productomschrijving,"
        "lange omschrijving, content, details text, text, about, about product, overview,"
        "dc description, product details, summary, abstract, excerpt, short description,"
        "shortdescription, kurzbeschreibung, kurztext, resume, description courte,"
        "descripcion corta, descrizione breve, korte omschrijving, blurb, caption, story,"
        "features, bullet points, highlights, opis, beskrivning, beskrivelse, kuvaus, popis,"
        "leiras, описание, 説明, 描述, 商品説明, 产品描述, description long, description short,"
        "περιγραφη, 설명, tuotekuvaus,"
        "aciklama, acıklama,"
        "descriere, descricao, description abstract"
    ),
    "price": listed(
        "sale price, special price, discounted price, discount price, current price, final price,"
        "actual price, offer price, selling price, price, product price, item price,"
        "retail price, price value, price amount, price eur, price usd, price gbp, unit price,"
        "price min, min price, price incl tax, price including tax, price with tax,"
        "price tax included, price tax incl, price tax excluded, price tax excl, gross price,"
        "price gross, standard price, regular price, list price, msrp, rrp, our price,"
        "your price, vk preis, vkpreis, verkaufspreis, vk, evp, endpreis, bruttopreis,"
        "preis brutto, vk brutto, preis, preis eur, preis in eur, einzelpreis, stuckpreis,"
        "ladenpreis, uvp, listenpreis, nettopreis, preis netto, prix de vente, prix ttc, prix,"
        "prix unitaire, prix eur, precio de venta, precio, precio final, pvp, precio con iva,"
        "prezzo di vendita, prezzo, prezzo al pubblico, verkoopprijs, prijs, prijs incl btw,"
        "stuksprijs, preco,"
        "price incl vat, price inc vat, price with vat, price including vat, price vat, cena s dph,"
        "cena z vat, preis inkl mwst, preis mit mwst, pris inkl moms, pris inkl mva,"
        "regularer preis, angebotspreis, tarif regulier, tarif promo, precio normal,"
        "precio rebajado,"
        "prezzo di listino, prezzo in offerta, reguliere prijs, τιμη, prezzo con iva,"
        "prezzo ivato, fiyat, pret, cijena,"
        "販売価格, 販売価格税込, 売価, 定価, 售价, 单价, 판매가, стоимость,"
        "default price, cena, pris, hinta, ar, price raw, offers price, price text,"
        "price current, prices price,"
        "prices amount, amount, mrp, cena brutto, цена, 価格, 价格, 가격"
    ),
    "currency": listed(
        "currency, currency code, price currency, pricecurrency, currencycode,"
        "price currency code, currency iso, currency unit, wahrung, waehrung, devise, moneda,"
        "valuta, divisa, "
        "monnaie, iso currency, offers price currency, waluta, moeda, currency id, mena, penznem,"
        "para birimi,"
        "валюта, 通貨, 货币, 통화"
    ),
    "seller": listed(
        "seller, seller name, merchant, merchant name, store, store name, shop, shop name,"
        "vendor, vendor name, marketplace seller, retailer, retailer name, verkaufer, handler,"
        "anbieter, vendeur, vendedor, venditore, verkoper, tienda, boutique, negozio, winkel,"
        "sold by, brand, brand name, brands, marke, marque, marca, merk, manufacturer,"
        "manufacturer name, maker, hersteller, herstellername, fabricant, fabricante, fabrikant,"
        "produttore, fabbricante, producent, producer, vyrobce, valmistaja, gyarto,"
        "marka, tillverkare, varumarke,"
        "publisher, supplier, lieferant, fournisseur, proveedor,"
        "fornitore, leverancier, ブランド, 品牌, бренд, производитель, 브랜드"
    ),
    "availability": listed(
        "availability, availability status, availability state, stock status, stockstatus,"
        "online availability,"
        "is in stock, in stock, instock, inventory status, is available, available, avail,"
        "verfugbarkeit, verfugbar, lieferbar, lieferbarkeit, lagerstatus, lieferstatus,"
        "disponibilite, disponible, disponibilidad, disponibilita, disponibile, beschikbaarheid,"
        "beschikbaar, op voorraad, en stock, offers availability, product availability,"
        "voorraadstatus, disponibilidade, stan, dostepnosc, stock, stock level, stock quantity,"
        "stock qty, qty in stock, quantity in stock, quantity available, available quantity,"
        "inventory, inventory quantity, inventory qty, inventory level, bestand, lagerbestand,"
        "lager, auf lager, voorraad, existencias, existencia, giacenza, magazzino, quantite,"
        "quantite en stock, estoque, lagerhalten, stock on hand, on hand, units in stock,"
        "lagersaldo, quantity, qty, cantidad, cantidad disponible, quantita, aantal,"
        "διαθεσιμοτητα, αποθεμα, available flag, stan magazynowy, dostepnosc magazynowa,"
        "dostupnost, sklad, skladem, stav skladu,"
        "keszlet, stok,"
        "stok durumu, stoc, stanje, varastosaldo, saldo, lagerstand, lagermenge, lagerantal,"
        "disponibilita magazzino, stock disponible, disponibilite stock, estado de stock,"
        "stock actual,"
        "quantity on hand, current stock, current stock level, наличие, остаток, 在庫, 在庫数,"
        "在庫状況, 库存,"
        "库存数量, 재고, status"
    ),
    "status": listed(
        "status, product status, state, is active, active, enabled, is enabled, published,"
        "is published, publish status, listing status, online, is online, visible, is visible,"
        "is visible individually, aktiv, sichtbar, veroffentlicht, actif, visible en ligne,"
        "activo, publicado, attivo, pubblicato, actief, zichtbaar, for sale, is live, live,"
        "sellable, sellable online, available for sale, etat, statut, stato, estado, aktywny,"
        "widoczny, aktivni,"
        "公開状態, 公開ステータス, 販売状態, 表示状態, 上架状态, 商品状态, 판매상태"
    ),
    "url": listed(
        "url, link, product url, product link, item url, productlink, permalink, canonical url,"
        "canonical link, page url, web url, produktlink, produkt url, deeplink, deep link,"
        "product page, lien, lien produit, enlace, url producto, collegamento, weblink,"
        "object url, link resource, edm is shown at, isshownat, guid, source url, website,"
        "landing page, url del producto, url prodotto, url produit, artikel url,"
        "product page url, href, identifier uri, uri,"
        "persistent identifier, persistent url, permanent link, purl, ark"
    ),
    "day": listed("updated at, last modified, modified at, modified, updated, last update, date"),
}

# of an image, the largest first; the first group found is the main one, further ones join it
IMAGES = listed(
    "image, image url, image link, image src, img, img url, main image, main image url, photo,"
    "photos, photo url, picture, picture url, images, image urls, product image, primary image,"
    "primary image url, featured image, base image, large image, image large, hi res,"
    "image hi res, image path, image file, image name, image filename, file name, filename,"
    "file path, filepath, path, file, file url, bild, bilder, bild url, bildurl, bildpfad,"
    "bilddatei, bildlink, hauptbild, artikelbild, produktbild, foto, fotos, foto url, afbeelding,"
    "afbeeldingen, hoofdafbeelding, image principale, image produit, photo principale, imagen,"
    "imagen principal, imagenes, fotografia, immagine, immagini, immagine principale,"
    "additional image, additional images, additional image link, additional image links,"
    "other images, extra images, gallery, media, media url, media urls, media gallery, asset url,"
    "iiif url, edm preview, preview, edm is shown by, zdjecie, kuva, billede, bilde, kep,"
    "εικονα, φωτογραφια, obrazek, obrazok, gorsel, resim, foto url, bildlank, bildlänk, kuvalinkki,"
    "изображение, картинка, 画像, 画像url, 商品画像, 图片, 이미지, pictures,"
    "assets, primary image small,"
    "weitere bilder, zusatzbilder, image2, thumbnail, thumb, thumbnail url, small image,"
    "image small, swatch, swatch image, enclosure, media content"
)
IMAGE_TOKENS = said(
    "image, images, img, imgs, photo, photos, picture, pictures, pic, bild, bilder, foto,"
    "fotos, imagen, imagenes, immagine, immagini, afbeelding, afbeeldingen, gallery, media,"
    "hauptbild, iiifurl, thumbnail, thumb, preview, zdjecie, imageurl, imgurl, bildurl,"
    "artikelbild"
)
SMALL = said(
    "thumb, thumbnail, thumbnails, small, swatch, icon, mini, tiny, thumbnailurl, smallimage,"
    "header, preview, vorschau"
)
NOT_IMAGES = said(
    "alt, caption, label, title, position, sort, width, height, credit, type, count, logo,"
    "text, description, hash, license, rights, size, flag, banner, avatar, favicon, video,"
    "brand"
)

# a column with one of these words in its name is not of the field
NEVER: dict[str, frozenset[str]] = {
    "id": said(
        "category, categories, brand, shop, store, seller, vendor, merchant, supplier,"
        "parent, class, department, user, customer, order, tax, group, collection, warehouse,"
        "image, manufacturer, artist, country, currency, set, variation, type, coarse,"
        "sender, option"
    ),
    "title": said(
        "brand, category, seller, vendor, store, shop, seo, meta, image, img, file,"
        "manufacturer, supplier, merchant, artist, author, user, customer, alt, color,"
        "colour, class, type, department, collection, country, google, page, option, parent,"
        "variation, attribute, username, contact, marke, hersteller, kategorie, short, latin,"
        "scientific, set"
    ),
    "description": said(
        "seo, meta, image, img, page, category, brand, google, shipping, tax, artist, short"
    ),
    "price": said(
        "tier, band, level, category, rank, index, rating, score, id, code, max, text, status,"
        "cost, cents, cent, shipping, tax, vat, mwst, date, from, to, old, original,"
        "previous, was, before, compare, wholesale, dealer, purchase, ek, einkaufspreis,"
        "einkauf, per, grundpreis, range, currency, unit, units, type, discount, saving,"
        "savings, percent, history, rule, until, start, end, class, versand, map, deposit,"
        "kg, formatted, margin, effective, interval, achat, compra, acquisto, inkoop, barre,"
        "fournisseur, streichpreis, group, list, zakupu, hurtowa, nakupni, inkop, supply, landed,"
        "trade, partner, b2b, reseller, distributor, staff, buying, factory, transfer"
    ),
    "seller": said("id, code, sku, rating, url, link, number, part, count, image, logo"),
    "availability": said(
        "date, min, max, minimum, maximum, reserved, threshold, location, bin, lead, time,"
        "days, code, managed, manage, low, alert, warning, unit, order, ordered, since,"
        "until, package, incoming, notify"
    ),
    "url": said(
        "image, img, thumbnail, photo, key, video, api, logo, brand, artist, seller,"
        "redirect, category"
    ),
    "currency": said("rate, symbol position"),
    "operation": said("date, at, by, time, user"),
    "parent": said("category, title, name, group, class"),
    "day": frozenset(),
    "status": said("date, at, by, user, order, code, id, stock, group, map"),
}

LANGUAGES = (
    *("en", "def", "en_us", "en_gb", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "no"),
    *(
        "nb",
        "fi",
        "cs",
        "sk",
        "hu",
        "ro",
        "bg",
        "el",
        "ru",
        "uk",
        "tr",
        "ja",
        "zh",
        "ko",
        "ar",
        "hr",
    ),
    *("sl", "et", "lv", "lt", "ga", "ca", "de_de", "de_at", "de_ch", "fr_fr", "es_es", "it_it"),
    *("nl_nl", "none", "und", "mul", "default", "english", "german", "french"),
)
LOCALE_COLUMNS = said(
    "language, lang, locale, sprache, langue, idioma, lingua, taal, store view code,"
    "store view, language code, lang code, sprachcode, website, market, store code"
)
