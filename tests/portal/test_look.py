"""What can be said about the look without eyes: contrast in both themes, no inline scripts, parts that say what they mean in words."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CSS = (ROOT / "static" / "css" / "causeway.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*)\}", CSS)[:2])

WORDS_ON = [
    *[
        ("ink", ground)
        for ground in ("paper", "surface", "sunk", "marked", "accent-soft", "ok-soft", "waiting-soft", "attention-soft", "failed-soft")
    ],
    *[("quiet", ground) for ground in ("paper", "surface", "sunk")],
    *[("accent", ground) for ground in ("paper", "surface", "sunk", "accent-soft")],
    *[(kind, f"{kind}-soft") for kind in ("ok", "waiting", "attention", "failed")],
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]


def luminance(colour: str) -> float:
    """Relative luminance (https://www.w3.org/TR/WCAG21/#dfn-relative-luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_words_have_aa_contrast_and_edges_and_the_focus_ring_are_seen(theme):
    faint = {pair: contrast(theme[pair[0]], theme[pair[1]]) for pair in WORDS_ON}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}
    edges = {(line, ground): contrast(theme[line], theme[ground]) for line in ("line-strong", "focus") for ground in ("paper", "surface")}
    assert {pair: ratio for pair, ratio in edges.items() if ratio < 3} == {}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_pages_hold_nothing_that_the_security_policy_forbids(path):
    if path.is_relative_to(ROOT / "templates" / "mail"):
        return
    source = path.read_text()
    assert not re.search(r'<script(?! type="application/ld\+json"|[^>]*\bsrc=)', source)
    assert not re.search(r"\son\w+=", source)
    assert not re.search(r"<style|\sstyle=|javascript:|hx-on", source)


@pytest.mark.parametrize(("kind", "word"), [("ok", "Done"), ("waiting", "Copying"), ("attention", "Restricted"), ("failed", "Failed")])
def test_a_badge_has_a_word_and_a_shape(kind, word):
    made = str(get_template("parts/macros.html").template.module.badge(kind, word))
    assert word in made
    assert "<svg" in made
    assert 'aria-hidden="true"' in made


def test_a_field_with_an_error_says_so_to_screen_readers():
    module = get_template("parts/macros.html").template.module
    made = str(module.field("days", "Keep for", "99", ["At most 30."], hint="In days.", kind="number", required=True))
    assert 'aria-describedby="field-days-hint field-days-wrong"' in made
    assert 'aria-invalid="true"' in made
    assert '<label for="field-days">' in made


def test_parts_escape_what_they_are_given():
    module = get_template("parts/macros.html").template.module
    for made in (
        module.badge("ok", "<b>"),
        module.fact("<b>", "<b>"),
        module.copy_block("<b>", "x"),
        module.chip("<b>", "/x"),
        module.empty("<b>", "<b>"),
    ):
        assert "<b>" not in str(made)
