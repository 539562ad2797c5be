"""A draft as the text of a catalog.yaml, with comments that say why."""

import io
from typing import Any

import yaml

from pinlanding_assets.catalog.drafting.samples import Draft

_WIDTH = 96
_ORDER = (
    *("name", "feeds", "format", "tables", "only", "rows", "snapshot", "columns", "decimal"),
    *("defaults", "attributes", "product_type", "words", "nulls", "images_from", "collections"),
)


def render(draft: Draft) -> str:
    """The text of a catalog.yaml, which says the draft's settings and nothing else."""
    lines = [_comment("Drafted from the files; it is yours now: correct what is wrong in it.")]
    if draft.recognized:
        lines.append(_comment(f"Recognized: {draft.recognized}."))
    told: set[str] = set()
    keys = [key for key in _ORDER if key in draft.settings]
    keys += [key for key in draft.settings if key not in keys]
    for key in keys:
        value = draft.settings[key]
        if key in ("columns", "defaults", "words") and isinstance(value, dict) and value:
            lines.append("")
            lines += _about(draft, key, "", told)
            lines.append(f"{key}:")
            for name, one in value.items():
                lines += _about(draft, f"{key}.{name}", "  ", told)
                lines += _dumped({name: one}, "  ")
        else:
            lines += ["", *_about(draft, key, "", told)]
            for setting in (s for s in (*draft.reasons, *draft.unsure) if s.startswith(f"{key}.")):
                lines += _about(draft, setting, "", told)
            lines += _dumped({key: value}, "")
    missing = [setting for setting in draft.unsure if setting not in told]
    if missing:
        lines.append("")
        for setting in missing:
            lines += _about(draft, setting, "", told)
    if draft.unused:
        lines += ["", _comment("Not used:")]
        lines += [_comment(f"  {_shown(name)}: {why}") for name, why in draft.unused.items()]
    return "\n".join(lines).strip() + "\n"


def _about(draft: Draft, setting: str, indent: str, told: set[str]) -> list[str]:
    if setting in told:
        return []
    told.add(setting)
    lines = []
    if reason := draft.reasons.get(setting):
        lines.append(indent + _comment(reason))
    named = setting.rpartition(".")[2] if indent else setting
    return lines + [
        indent + _comment(f"unsure: {named}: {doubt}") for doubt in draft.unsure.get(setting, [])
    ]


class _Dumper(yaml.SafeDumper):
    """Without anchors, which few people know."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _dumped(value: dict[str, Any], indent: str) -> list[str]:
    """A setting as YAML: what lies within is on one line, an attribute or a table has its own."""
    node = _Dumper(io.StringIO(), default_flow_style=None, sort_keys=False).represent_data(value)
    assert isinstance(node, yaml.MappingNode)
    node.flow_style = False
    inner = node.value[0][1]
    if isinstance(inner, yaml.MappingNode) and node.value[0][0].value in ("attributes", "tables"):
        inner.flow_style = False
    text = yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=_WIDTH)
    return [indent + line for line in text.rstrip("\n").split("\n")]


def _comment(text: str) -> str:
    """One line of comment, whatever the text holds."""
    return "# " + "".join(c if c.isprintable() else " " for c in text)[:400].rstrip()


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."
