"""The texts of a notice in French, English and German, made only from its document."""

from notifications.wording.rendering import Rendered, render
from notifications.wording.vocabulary import words

__all__ = ["Rendered", "render", "words"]
