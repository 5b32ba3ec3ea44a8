"""Words as they are compared in a search: without capitals, accents, and the marks between the parts of a DICOM name."""

import unicodedata

_BETWEEN = str.maketrans("^=,", "   ")


def folded(text: str) -> str:
    """One line of words: `Müller^Eva=山田^太郎` is `muller eva 山田 太郎`; folding again changes nothing."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(one for one in apart if not unicodedata.combining(one))
    return " ".join(bare.translate(_BETWEEN).split())
