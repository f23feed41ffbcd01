"""The two command lines. ``single`` · ``sweep`` · ``exits`` codes and messages · ``progress`` bars · ``tables``."""
