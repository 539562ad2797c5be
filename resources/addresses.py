"""What must not be written down: secrets inside the addresses and the values of settings.

Settings are read by many: they stand in files, on the pages of the UI, in logs. A list of tokens is
always behind its vendors, so the rule is about the places where secrets stand: an address holds no
user part and no query, and nothing is named like a secret. What tokens look like is only looked at
in addition.
"""

import re
from itertools import pairwise

_NAMES = (
    r"api_?keys?|keys?|secrets?|password|passwd|passphrase|pwd|pass|token|jwt|credentials?"
    r"|authorization|auth|bearer|signature|sig"
)
_SECRET_NAME = re.compile(rf"(^|_)({_NAMES})$|^(api|access|secret|private)key$|access_?key_?id$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# also without a scheme (`//me:pass@host`), and behind anything else (`openai:https://...`)
_ADDRESS = re.compile(r"(?:^|(?<=[^/]))//(?P<authority>[^/?#\s]*)(?P<rest>\S*)")
_PORT = re.compile(r"[^\[\]:]*(:[0-9]*)?|\[[^\[\]]*\](:[0-9]*)?")
_TOKEN = re.compile(
    r"^(sk-\S{8}|hf_|gh[pousr]_|xox[a-z]-|AKIA[0-9A-Z]{12})"  # a value that is nothing else
    r"|(?<![A-Za-z0-9])("
    r"(sk|rk|pk|pplx|xai|nvapi|glpat|xox[a-z]|xapp|key|pat)-[A-Za-z0-9_-]{16,}"
    r"|(sk|rk|pk|gsk|hf|r8|npm|gh[pousr]|github_pat|dop_v1|tgp_v1|fw|whsec|sq0[a-z]{3})"
    r"_[A-Za-z0-9_-]{16,}"
    r"|A(KIA|SIA)[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}"
    r"|SG\.[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r")"
    r"|-----BEGIN "
)
_SPOKEN = re.compile(
    rf"^\s*(bearer|basic|token)\s+\S|(^|[\s;,&?{{(_\"'-])({_NAMES}|accountkey)\s*[=:]\s*[^\s\"']",
    re.I,
)
_HEX = re.compile(r"[0-9a-fA-F]{32,}")  # as a whole value: a commit or a content has a name before
_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_FOLDER = re.compile(r"[/.~]|[A-Za-z]:[\\/]")
_MIXED = 0.45  # share of neighbours of another kind (A, a, 0): 0.62 of chance, 0.3 of names


def names_a_secret(name: str) -> bool:
    """Whether a key, a query parameter or a variable is named like a secret: `apiKey`,
    `X-Amz-Signature`, `access_token`, but not `max_tokens`."""
    plain = re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", name).lower()).strip("_")
    return bool(_SECRET_NAME.search(plain))


def secret_in_address(text: str, *, queries: bool = False) -> str:
    """Why the addresses in a text may hold a secret; empty where they do not, or there are none.

    Args:
        text: An address, or any text: everything with `//` in it is looked at.
        queries: Whether an address may have a query (`?format=csv`), as those of feeds do. No
            parameter of it may be named or look like a secret even then.
    """
    for found in _ADDRESS.finditer(text):
        authority, rest = found["authority"], found["rest"]
        # a slash in a password cuts it off: then what is before it is no port
        if "@" in authority or ("@" in rest and not _PORT.fullmatch(authority)):
            return "an address with a user part"
        if "?" not in rest:
            continue
        if not queries:
            return "an address with a query"
        query = rest.partition("?")[2]
        for parameter in re.split("[&;?#]", query):
            name, _, value = parameter.partition("=")
            if names_a_secret(name) or secret_in_value(value):
                return "an address with a secret in its query"
    return ""


def secret_in_value(text: str) -> str:
    """Why a value looks like a secret; empty where it does not. A light check: names of models,
    buckets and folders pass, and so may a token of a vendor that is not known here."""
    if _TOKEN.search(text):
        return "what looks like a token"
    if _SPOKEN.search(text):
        return "what is named like a secret"
    if _HEX.fullmatch(text) or (not _FOLDER.match(text) and any(map(_mixed, _RUN.findall(text)))):
        return "what looks like a key"
    return ""


def secret_in(text: str, *, queries: bool = False) -> str:
    """Why a setting may hold a secret: `secret_in_address`, or else `secret_in_value`."""
    return secret_in_address(text, queries=queries) or secret_in_value(text)


def _mixed(run: str) -> bool:
    """Whether letters and digits follow each other as chance draws them."""
    kinds = ["0" if c.isdigit() else "A" if c.isupper() else "a" for c in run]
    changes = sum(one != other for one, other in pairwise(kinds))
    return len(set(kinds)) == 3 and changes >= _MIXED * (len(run) - 1)
