"""The words of a notice in French, English and German, made from its document alone."""

from notifications.wording.rendering import Rendered, render
from notifications.wording.vocabulary import words

__all__ = ["Rendered", "render", "words"]
