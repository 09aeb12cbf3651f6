"""The documentation stays short and plain: its words, its lines, its sentences are counted."""

import re

import pytest

from tests.docs.pages import NAMES, ROOT, tokens

MOST_WORDS, LONGEST_LINE, LONGEST_SENTENCE = 14_000, 120, 30
COUNTED = [name for name in NAMES if name != "SECURITY.md"]
# What ends a sentence, or as good as: what follows can be read by itself.
END = re.compile(r"(?<=[.!?:;])\s+")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def sentences(text_tokens):
    """Give the sentences of paragraphs, list items, table cells and headings; code blocks have none."""
    for token in text_tokens:
        if token.type == "inline":
            text = "".join(" " if child.type == "softbreak" else child.content for child in token.children)
            yield from END.split(text)


def too_long(text_tokens):
    return [sentence for sentence in sentences(text_tokens) if len(sentence.split()) > LONGEST_SENTENCE]


def test_the_pages_hold_14000_words_at_most():
    counts = {name: len(read(name).split()) for name in COUNTED}
    assert sum(counts.values()) <= MOST_WORDS, counts


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_longer_than_120_characters(name):
    long = [number for number, line in enumerate(read(name).splitlines(), 1) if len(line) > LONGEST_LINE]
    assert not long


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_a_newcomer_reads_no_sentence_over_30_words(name):
    assert not too_long(tokens(name))


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("word " * 30 + "\n\n" + "word " * 30, 0),
        ("word " * 30 + "end.\n", 1),
        ("word " * 20 + "end. " + "word " * 20, 0),
        ("word " * 20 + "\n" + "`code` " * 11, 1),
        ("| a | b |\n|---|---|\n| " + "word " * 31 + "| b |\n", 1),
        ("```text\n" + "word " * 31 + "\n```\n", 0),
    ],
    ids=["two paragraphs", "one sentence", "two sentences", "over two lines", "in a table", "in a block"],
)
def test_a_long_sentence_is_seen_and_a_short_one_is_not(text, long):
    from markdown_it import MarkdownIt

    assert len(too_long(MarkdownIt().enable("table").parse(text))) == long
