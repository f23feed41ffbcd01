"""What a sweep has come to, as one page to look at: made from its folder alone, so that it can be made again any time.

``findings`` reads the folder · ``curves``, ``searched``, ``scored``, ``importance`` make figures of it, as data
(``figure``) · ``page`` writes them as HTML that a small script of its own draws (``assets``), ``png`` as PNG files.
"""

from iafsweep.report.write import write_png, write_report

__all__ = ["write_png", "write_report"]
