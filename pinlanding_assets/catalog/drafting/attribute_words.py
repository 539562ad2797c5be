"""Names of columns that say what a product is like, and of those that do not."""

from pinlanding_assets.catalog.drafting.words import listed, said

# attributes that a shopper knows, and the key they get; `*` where the name itself is the key
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "category": listed(
        "category, categories, category name, category path, category tree, product category,"
        "product category tree, main category, subcategory, sub category, kategorie, kategorien,"
        "warengruppe, produktgruppe, rubrik, sortiment, categorie, rayon, famille, categoria,"
        "familia, seccion, reparto, gruppo, productgroep, google product category, product type,"
        "type, produkttyp, artikeltyp, produktart, item type, object type, department,"
        "super category, class, class name, classification, genre, kind, feed product type,"
        "article type, articletype, master category, mastercategory, product group, group name,"
        "object name, category 1, category 2, category 3, level 1, level 2, coarse name, label,"
        "labels, species"
    ),
    "*": listed(
        "color, colour, colors, colours, color name, farbe, farben, couleur, couleurs, kleur,"
        "colore, cor, farve, farg, size, sizes, size name, groesse, grosse, taille, talla,"
        "taglia, maat, tamano, misura, material, materials, materiale, materiaal, matiere,"
        "matieres, composition, fabric, stoff, werkstoff, pattern, muster, motif, patron, gender,"
        "geschlecht, genre, sexe, genero, genere, sex, target gender, age group, audience,"
        "season, saison, temporada, stagione, style, stil, finish, shape, form, forme, forma,"
        "flavor, flavour, geschmack, scent, duft, collection, kollektion, theme, occasion, room,"
        "fit, length, neckline, sleeve, brand, marke, marque, marca, merk, manufacturer,"
        "hersteller, tag, tags, keyword, keywords, schlagworte, stichworte, mots cles,"
        "palabras clave, parole chiave, trefwoorden, etiquetas, medium, technique, technik,"
        "culture, period, artist, artist display name, creator, kunstler, artiste, artista,"
        "maker, author, autor, auteur, dynasty, country, origin, herkunft, origine, origen,"
        "country of origin, date, object date, year, jahr, jahrhundert, century, subject,"
        "subjects, features, feature, condition, zustand, etat, estado, language, platform,"
        "model, capacity, volume, wattage, diameter, width, height, depth, durchmesser, breite,"
        "hohe, lange, tiefe, largeur, hauteur, longueur, ancho, alto, larghezza, altezza,"
        "dimensions, abmessungen, masse, weight class, kids, usage, base colour, activity,"
        "climate, strap, collections, breed, variety, vintage, region, grape, movement, school,"
        "provider, data provider, mood, date issued"
    ),
}
LISTS = said(  # names of columns whose texts hold several values
    "tags, tag, keywords, keyword, categories, labels, colors, colours, sizes, materials,"
    "styles, features, schlagworte, stichworte, farben, kategorien, grossen, mots cles,"
    "couleurs, tailles, etiquetas, palabras clave, colores, tallas, parole chiave, colori,"
    "trefwoorden, kleuren, maten, subjects, collections, genres, activity, amenities, topics,"
    "search keywords, mots clefs"
)
CATEGORY_TOKENS = said(
    "category, categories, kategorie, kategorien, categorie, categoria, categorias, taxonomy,"
    "breadcrumb, breadcrumbs, warengruppe"
)
SOFTWARE = said(  # a shop software's words for kinds of rows, which shoppers do not know
    "simple, variable, variation, configurable, bundle, grouped, virtual, downloadable,"
    "external, product, products, item, manifest, image, physical, digital, standard,"
    "default, parent, child, variant, giftcard, p, d, option, options, row, rule"
)
AROUND = said(  # what stands within one of these is not about the product as such
    "price, prices, offer, offers, shipping, seo, meta, tax, image, images, photo, photos,"
    "media, video, videos, review, reviews, seller, vendor, brand, store, supplier, rating,"
    "ratings, aggregate, dimensions, license, links, location, warehouse, stock, inventory,"
    "thumbnail"
)
PATHS = said(  # ... or a path of categories
    "category path, category tree, product category tree, google product category,"
    "breadcrumb, breadcrumbs, category, categories, product type, kategorie, kategorien,"
    "categorie, department"
)
SINGULAR = {
    **{"categories": "category", "tags": "tag", "keywords": "keyword", "colors": "color"},
    **{"colours": "colour", "sizes": "size", "materials": "material", "labels": "label"},
    **{"features": "feature", "subjects": "subject", "styles": "style", "genres": "genre"},
    **{"collections": "collection", "brands": "brand"},
}
MAPS = said(  # objects whose keys are names of attributes
    "attributes, attrs, attribute, additional attributes, custom attributes, details, specs,"
    "spec, specifications, specification, product specifications, properties, props, params,"
    "parameters, features, facets, merkmale, eigenschaften, attribute values, custom fields,"
    "caracteristiques, caracteristicas, caratteristiche, kenmerken, metadata, meta, options,"
    "selected options, item specifics, characteristics, technical details, attribut, extra,"
    "tech specs, aspects, fields, product information"
)
# what a shopper does not ask for, by words of its name
TECHNICAL = said(
    "id, ids, uuid, guid, gtin, ean, ean13, upc, isbn, mpn, barcode, sku, created, updated,"
    "modified, timestamp, datetime, at, slug, seo, meta, rank, ranking, rating, ratings,"
    "reviews, review, count, counts, position, sort, order, weight, gewicht, poids, peso,"
    "grams, shipping, versand, tax, vat, mwst, tva, iva, btw, visible, visibility, hidden,"
    "enabled, active, published, flag, cost, margin, hash, md5, checksum, email, phone,"
    "telefon, latitude, longitude, lat, lng, lon, url, link, href, custom, template, layout,"
    "score, views, clicks, sales, sold, stock, inventory, warehouse, lagerort, regal, bin,"
    "supplier, lieferant, discount, rabatt, currency, price, preis, prix, precio, prezzo,"
    "prijs, index, unnamed, column, version, lang, locale, status, token, split, fold, subset,"
    "internal, "
    "intern, note, notes, notiz, remark, bemerkung, comment, comments, fulfillment, policy,"
    "hs, taric, harmonized, adult, scraped, crawled, crawl, source, file, path, filename,"
    "mime, width px, height px, qty, quantity, menge, bundle, alt, credit, rights, license,"
    "copyright, user, sender, imported, exported, domain, store, shop, row, nr, no, num,"
    "percent, handle, code, zip, plz, channel, availability, signature"
)
WORDS = said(  # of which several may stand in a text, each a word or two
    "color, colour, colors, colours, farbe, farben, couleur, couleurs, kleur, kleuren, colore,"
    "colori, size, sizes, grosse, groesse, taille, tailles, talla, tallas, taglia, taglie, maat,"
    "maten, material, materials, materiale, matiere, stoff, gender, geschlecht"
)
