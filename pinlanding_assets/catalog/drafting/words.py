"""Names that columns have in the wild, in several languages: the best name of a field comes first.

Names are compared without case, accents, marks and words like "product" (`names.py`).
"""


def _list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


# words that say nothing about what a column means, at the beginning of its name
NOISE = frozenset(
    _list(
        "product, products, item, items, artikel, article, articulo, articolo, produkt, producto,"
        "produit, prodotto, variant, variants, varianten, goods, node, source, data, our, the,"
        "master, current, object, record, work, artwork, garment, listing, offers, offer"
    )
)

FIELDS: dict[str, tuple[str, ...]] = {
    "id": _list(
        "id, product id, productid, item id, sku, product code, item code, artikelnr,"
        "artikelnummer, artikel nr, artikel nummer, artikel id, produktnummer, produktnr,"
        "produkt id, bestellnummer, bestellnr, art nr, artnr, article number, item number,"
        "product number, uniq id, unique id, uid, uuid, item sku, asin, parent asin, handle,"
        "product key, item no, product no, article no, article id, object id, objectid,"
        "object number, accession number, inventory number, inventarnummer, inventar nr, referencia,"
        "reference, ref, reference produit, codigo, codice, codice articolo, code article, code,"
        "artikelcode, productcode, productnummer, identifier, key, identifiant, identificador,"
        "sachnummer, materialnummer, style id, style code, style number, @id, guid, gtin, ean,"
        "ean13, barcode, isbn, upc, mpn, numero d inventaire, accession, filename, file name,"
        "image id, image name, image path, file path, path, filepath, asset id, image file, row id,"
        "pid, item, no, nr, num, number, numero, nummer, sku id, skuid, spu, product uid, ref no,"
        "record id, image, image url, file, url, link, product url, title"
    ),
    "parent": _list(
        "parent sku, parent id, parent, parent product id, parent product, parent code"
    ),
    "operation": _list(
        "operation, op, action, change type, change, event, event type, event name, update delete,"
        "dml type, cdc operation, row kind, rowkind, is deleted, deleted, delete, isdeleted,"
        "delete flag, tombstone, removed, geloscht, aktion, cdc"
    ),
    "title": _list(
        "title, name, product name, product title, item name, item title, display name,"
        "displayname, full name, productname, bezeichnung, artikelbezeichnung, artikelname,"
        "produktname, produktbezeichnung, titel, benennung, kurzbezeichnung, nom, nom du produit,"
        "designation, libelle, intitule, titre, nombre, nombre del producto, titulo, denominazione,"
        "nome, nome prodotto, titolo, naam, productnaam, artikelnaam, omschrijving kort, headline,"
        "product, produkt, producto, produit, prodotto, artikel, article, item, object title,"
        "dc title, short title, object name, caption, text, short description, prompt, label, subject,"
        " nazwa, namn, navn, nimi, nazev, megnevezes, 商品名, 名称, 상품명, название, наименование"
    ),
    "description": _list(
        "description, long description, product description, item description, full description,"
        "body html, body, description html, descriptionhtml, body text, beschreibung,"
        "langbeschreibung, artikelbeschreibung, produktbeschreibung, langtext, langbezeichnung,"
        "beschreibungstext, descripcion, descripcion larga, descrizione, descrizione lunga,"
        "description longue, descriptif, omschrijving, beschrijving, productomschrijving,"
        "lange omschrijving, content, details text, text, about, about product, overview,"
        "dc description, product details, summary, abstract, excerpt, short description,"
        "shortdescription, kurzbeschreibung, kurztext, resume, description courte,"
        "descripcion corta, descrizione breve, korte omschrijving, blurb, caption, story,"
        "features, bullet points, highlights, opis, beskrivning, beskrivelse, kuvaus, popis, leiras,"
        "описание, 説明, 描述, 商品説明"
    ),
    "price": _list(
        "sale price, special price, discounted price, discount price, current price, final price,"
        "actual price, offer price, selling price, price, product price, item price, retail price,"
        "price value, price amount, price eur, price usd, price gbp, unit price, price min,"
        "min price, price incl tax, price including tax, price with tax, price tax included, price tax incl, price tax excluded, price tax excl, gross price, price gross,"
        "standard price, regular price, list price, msrp, rrp, our price, your price, vk preis,"
        "vkpreis, verkaufspreis, endpreis, bruttopreis, preis brutto, vk brutto, preis, preis eur,"
        "preis in eur, einzelpreis, stuckpreis, ladenpreis, uvp, listenpreis, nettopreis,"
        "preis netto, prix de vente, prix ttc, prix, prix unitaire, prix eur, precio de venta,"
        "precio, precio final, pvp, precio con iva, prezzo di vendita, prezzo, prezzo al pubblico,"
        "verkoopprijs, prijs, prijs incl btw, stuksprijs, preco, cena, pris, hinta, ar, price raw,"
        "offers price, price text, price current, prices price, prices amount, amount, mrp, cena brutto, цена, 価格, 价格, 가격"
    ),
    "currency": _list(
        "currency, currency code, price currency, pricecurrency, currencycode, price currency code,"
        "currency iso, wahrung, waehrung, devise, moneda, valuta, divisa, monnaie, iso currency,"
        "offers price currency, waluta, moeda"
    ),
    "seller": _list(
        "seller, seller name, merchant, merchant name, store, store name, shop, shop name, vendor,"
        "vendor name, marketplace seller, retailer, retailer name, verkaufer, handler, anbieter,"
        "vendeur, vendedor, venditore, verkoper, tienda, boutique, negozio, winkel, sold by, brand,"
        "brand name, brands, marke, marque, marca, merk, manufacturer, manufacturer name, maker,"
        "hersteller, herstellername, fabricant, fabricante, fabrikant, produttore, fabbricante,"
        "publisher, supplier, lieferant, fournisseur, proveedor, fornitore, leverancier,"
        "ブランド, 品牌, бренд, производитель, 브랜드"
    ),
    "availability": _list(
        "availability, availability status, availability state, stock status, stockstatus,"
        "is in stock, in stock, instock, inventory status, is available, available, avail,"
        "verfugbarkeit, verfugbar, lieferbar, lieferbarkeit, lagerstatus, lieferstatus,"
        "disponibilite, disponible, disponibilidad, disponibilita, disponibile, beschikbaarheid,"
        "beschikbaar, op voorraad, en stock, offers availability, product availability,"
        "voorraadstatus, disponibilidade, stan, dostepnosc, stock, stock level, stock quantity,"
        "stock qty, qty in stock, quantity in stock, quantity available, available quantity,"
        "inventory, inventory quantity, inventory qty, inventory level, bestand, lagerbestand,"
        "lager, auf lager, voorraad, existencias, existencia, giacenza, magazzino, quantite,"
        "quantite en stock, estoque, lagerhalten, stock on hand, on hand, units in stock,"
        "lagersaldo, quantity, qty, cantidad, cantidad disponible, quantita, aantal, quantity on hand,"
        "current stock, current stock level, наличие, 在庫, 库存, status"
    ),
    "status": _list(
        "status, product status, state, is active, active, enabled, is enabled, published,"
        "is published, publish status, listing status, online, is online, visible, is visible,"
        "is visible individually, aktiv, sichtbar, veroffentlicht, actif, visible en ligne, activo,"
        "publicado, attivo, pubblicato, actief, zichtbaar, for sale, is live, live, sellable"
    ),
    "url": _list(
        "url, link, product url, product link, item url, productlink, permalink, canonical url,"
        "canonical link, page url, web url, produktlink, produkt url, deeplink, deep link,"
        "product page, lien, lien produit, enlace, url producto, collegamento, weblink, object url,"
        "link resource, edm is shown at, isshownat, guid, source url, website, landing page,"
        "url del producto, url prodotto, url produit, artikel url, product page url, href"
    ),
    "day": _list("updated at, last modified, modified at, modified, updated, last update, date"),
}

# of an image, the largest first; the first group found is the main one, further ones join it
IMAGES = _list(
    "image, image url, image link, image src, img, img url, main image, main image url, photo,"
    "photos, photo url, picture, picture url, images, image urls, product image, primary image,"
    "primary image url, featured image, base image, large image, image large, hi res, image hi res,"
    "image path, image file, image name, image filename, file name, filename, file path, filepath,"
    "path, file, file url, bild, bilder, bild url, bildurl, bildpfad, bilddatei, bildlink, hauptbild,"
    "artikelbild, produktbild, foto, fotos, foto url, afbeelding, afbeeldingen, hoofdafbeelding,"
    "image principale, image produit, photo principale, imagen, imagen principal, imagenes, fotografia,"
    "immagine, immagini, immagine principale, additional image, additional images,"
    "additional image link, additional image links, other images, extra images, gallery, media,"
    "media url, media urls, media gallery, asset url, iiif url, edm preview, preview, edm is shown by,"
    "zdjecie, kuva, billede, bilde, kep, obrazek, изображение, картинка, 画像, 图片, pictures, assets,"
    "primary image small, additional images, weitere bilder, zusatzbilder, image2, thumbnail, thumb,"
    "thumbnail url, small image, image small, swatch, swatch image, enclosure, media content"
)
IMAGE_TOKENS = frozenset(
    _list(
        "image, images, img, imgs, photo, photos, picture, pictures, pic, bild, bilder, foto, fotos,"
        "imagen, imagenes, immagine, immagini, afbeelding, afbeeldingen, gallery, media, hauptbild,"
        "iiifurl, thumbnail, thumb, preview, zdjecie, imageurl, imgurl, bildurl, artikelbild"
    )
)
SMALL = frozenset(
    _list("thumb, thumbnail, thumbnails, small, swatch, icon, mini, tiny, thumbnailurl, smallimage")
)
NOT_IMAGES = frozenset(
    _list(
        "alt, caption, label, title, position, sort, width, height, credit, type, count, logo, text,"
        "description, hash, license, rights, size, flag, banner, avatar, favicon, video, brand"
    )
)

# a column with one of these words in its name is not of the field
NEVER: dict[str, frozenset[str]] = {
    "id": frozenset(
        _list(
            "category, categories, brand, shop, store, seller, vendor, merchant, supplier, parent,"
            "class, department, user, customer, order, tax, group, collection, warehouse, image,"
            "manufacturer, artist, country, currency, set, variation, type, coarse, sender, option"
        )
    ),
    "title": frozenset(
        _list(
            "brand, category, seller, vendor, store, shop, seo, meta, image, img, file, manufacturer,"
            "supplier, merchant, artist, author, user, customer, alt, color, colour, class, type,"
            "department, collection, country, google, page, option, parent, variation, attribute,"
            "username, contact, marke, hersteller, kategorie, short, latin, scientific, set"
        )
    ),
    "description": frozenset(
        _list("seo, meta, image, img, page, category, brand, google, shipping, tax, artist, short")
    ),
    "price": frozenset(
        _list(
            "cost, cents, cent, shipping, tax, vat, mwst, date, from, to, old, original, previous,"
            "was, before, compare, wholesale, dealer, purchase, ek, einkaufspreis, einkauf, per,"
            "grundpreis, range, currency, unit, units, type, discount, saving, savings, percent,"
            "history, rule, until, start, end, class, versand, map, deposit, kg, formatted, margin,"
            "effective, interval, achat, compra, acquisto, inkoop, barre, fournisseur, streichpreis, group, list"
        )
    ),
    "seller": frozenset(
        _list("id, code, sku, rating, url, link, number, part, count, image, logo")
    ),
    "availability": frozenset(
        _list(
            "date, min, max, minimum, maximum, reserved, threshold, location, bin, lead, time, days,"
            "code, managed, manage, low, alert, warning, unit, order, ordered, since, until, package, incoming, notify"
        )
    ),
    "url": frozenset(
        _list(
            "image, img, thumbnail, photo, key, video, api, logo, brand, artist, seller, redirect, category"
        )
    ),
    "currency": frozenset(_list("rate, symbol position")),
    "operation": frozenset(_list("date, at, by, time, user")),
    "parent": frozenset(_list("category, title, name, group, class")),
    "day": frozenset(),
    "status": frozenset(_list("date, at, by, user, order, code, id, stock, group, map")),
}

# attributes that a shopper knows, and the key they get; `*` where the name itself is the key
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "category": _list(
        "category, categories, category name, category path, category tree, product category,"
        "product category tree, main category, subcategory, sub category, kategorie, kategorien,"
        "warengruppe, produktgruppe, rubrik, sortiment, categorie, categories, rayon, famille,"
        "categoria, familia, seccion, reparto, gruppo, productgroep, google product category,"
        "product type, type, produkttyp, artikeltyp, produktart, item type, object type, department,"
        "super category, class, class name, classification, genre, kind, feed product type,"
        "article type, articletype, master category, mastercategory, product group, group name,"
        "object name, category 1, category 2, category 3, level 1, level 2, coarse name, label, labels, species"
    ),
    "*": _list(
        "color, colour, colors, colours, color name, farbe, farben, couleur, couleurs, kleur, colore,"
        "cor, farve, farg, size, sizes, size name, groesse, grosse, taille, talla, taglia, maat,"
        "tamano, misura, material, materials, materiale, materiaal, matiere, matieres, composition,"
        "fabric, stoff, werkstoff, pattern, muster, motif, patron, gender, geschlecht, genre, sexe,"
        "genero, genere, sex, target gender, age group, audience, season, saison, temporada,"
        "stagione, style, stil, finish, shape, form, forme, forma, flavor, flavour, geschmack,"
        "scent, duft, collection, kollektion, theme, occasion, room, fit, length, neckline, sleeve,"
        "brand, marke, marque, marca, merk, manufacturer, hersteller, tag, tags, keyword, keywords,"
        "schlagworte, stichworte, mots cles, palabras clave, parole chiave, trefwoorden, etiquetas,"
        "medium, technique, technik, culture, period, artist, artist display name, creator, kunstler,"
        "artiste, artista, maker, author, autor, auteur, dynasty, country, origin, herkunft, origine,"
        "origen, country of origin, date, object date, year, jahr, jahrhundert, century, subject,"
        "subjects, features, feature, condition, zustand, etat, estado, language, platform, model,"
        "capacity, volume, wattage, diameter, width, height, depth, durchmesser, breite, hohe, lange,"
        "tiefe, largeur, hauteur, longueur, ancho, alto, larghezza, altezza, dimensions, abmessungen,"
        "masse, weight class, kids, usage, base colour, activity, climate, strap, collections, breed,"
        "variety, vintage, region, grape, movement, school, provider, data provider, mood"
    ),
}
LISTS = frozenset(  # names of columns whose texts hold several values
    _list(
        "tags, tag, keywords, keyword, categories, labels, colors, colours, sizes, materials, styles, features,"
        "schlagworte, stichworte, farben, kategorien, grossen, mots cles, couleurs, tailles, etiquetas,"
        "palabras clave, colores, tallas, parole chiave, colori, trefwoorden, kleuren, maten,"
        "subjects, collections, genres, activity, amenities, topics, search keywords, mots clefs"
    )
)
CATEGORY_TOKENS = frozenset(
    _list(
        "category, categories, kategorie, kategorien, categorie, categoria, categorias, taxonomy,"
        "breadcrumb, breadcrumbs, warengruppe"
    )
)
SOFTWARE = frozenset(  # a shop software's words for kinds of rows, which shoppers do not know
    _list(
        "simple, variable, variation, configurable, bundle, grouped, virtual, downloadable, external,"
        "product, products, item, manifest, image, physical, digital, standard, default, parent,"
        "child, variant, giftcard, p, d"
    )
)
AROUND = frozenset(  # what stands within one of these is not about the product as such
    _list(
        "price, prices, offer, offers, shipping, seo, meta, tax, image, images, photo, photos, media,"
        "video, videos, review, reviews, seller, vendor, brand, store, supplier, rating, ratings,"
        "aggregate, dimensions, license, links, location, warehouse, stock, inventory, thumbnail"
    )
)
PATHS = frozenset(  # ... or a path of categories
    _list(
        "category path, category tree, product category tree, google product category, breadcrumb,"
        "breadcrumbs, category, categories, product type, kategorie, kategorien, categorie, department"
    )
)
SINGULAR = {
    **{"categories": "category", "tags": "tag", "keywords": "keyword", "colors": "color"},
    **{"colours": "colour", "sizes": "size", "materials": "material", "labels": "label"},
    **{"features": "feature", "subjects": "subject", "styles": "style", "genres": "genre"},
    **{"collections": "collection", "brands": "brand"},
}
MAPS = frozenset(  # objects whose keys are names of attributes
    _list(
        "attributes, attrs, attribute, additional attributes, custom attributes, details, specs,"
        "spec, specifications, specification, product specifications, properties, props, params,"
        "parameters, features, facets, merkmale, eigenschaften, attribute values, custom fields,"
        "caracteristiques, caracteristicas, caratteristiche, kenmerken, metadata, meta, options,"
        "selected options, item specifics, characteristics, technical details, attribut, extra, tech specs, aspects, fields, product information"
    )
)
# what a shopper does not ask for, by words of its name
TECHNICAL = frozenset(
    _list(
        "id, ids, uuid, guid, gtin, ean, ean13, upc, isbn, mpn, barcode, sku, created, updated, modified,"
        "timestamp, datetime, at, slug, seo, meta, rank, ranking, rating, ratings, reviews, review, count, counts,"
        "position, sort, order, weight, gewicht, poids, peso, grams, shipping, versand, tax, vat, mwst, tva, iva,"
        "btw, visible, visibility, hidden, enabled, active, published, flag, cost, margin, hash, md5, checksum,"
        "email, phone, telefon, latitude, longitude, lat, lng, lon, url, link, href, custom, template, layout, score, views, clicks,"
        "sales, sold, stock, inventory, warehouse, lagerort, regal, bin, supplier, lieferant, discount, rabatt,"
        "currency, price, preis, prix, precio, prezzo, prijs, index, unnamed, column, version, status, token, split, fold, subset,"
        "internal, intern, note, notes, notiz, remark, bemerkung, comment, comments, fulfillment, policy, hs, taric, harmonized,"
        "adult, scraped, crawled, crawl, timestamp, source, file, path, filename, mime, width px, height px, checksum, qty, quantity,"
        "menge, bundle, alt, credit, rights, license, copyright, user, sender, imported, exported, domain, store, shop, row, nr, no, num, percent, handle, code, zip, plz, channel, availability"
    )
)
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
LOCALE_COLUMNS = frozenset(
    _list(
        "language, lang, locale, sprache, langue, idioma, lingua, taal, store view code, store view, language code, lang code, sprachcode, website, market, store code"
    )
)
