"""The log on stderr: our own words with their time, a line each; of libraries nothing that quotes what they were given."""

import logging
import unicodedata
import warnings

QUOTING = ("pydicom", "pynetdicom", "highdicom", "reportlab", "PIL", "py.warnings")
"""What these say of a value quotes it, and the values are patients' names, or titles that strangers chose."""


class OneLine(logging.Formatter):
    """Every entry is one line, so that nothing that came from outside can look like an entry of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told = super().format(record)
        return "".join(repr(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} else c for c in told)

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's own name
        """An exception's class alone: its message may quote a patient's name."""
        kind = ei[0] if isinstance(ei, tuple) else None
        return getattr(kind, "__name__", "an exception")


def log_to_stderr(form: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
    """Our own words from INFO on, those of libraries from WARNING on, those that quote not at all."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("panlesion").setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("ignore")
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
