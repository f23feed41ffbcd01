"""What a sweep has come to, as one page to look at: made from its folder alone, so that it can be made again any time.

``findings`` reads the folder · ``curves``, ``searched``, ``scored``, ``importance``, ``variance`` make figures of it,
as data (``figure``, on ``scales``) · ``verdict`` what can be trusted · ``pictures`` samples · ``page`` writes
``headline`` and ``sections``, made of ``parts`` (``markup``), as HTML that a small script of its own draws
(``assets``), ``png`` the figures as PNG files · ``private`` leaves out what tells of the machine · ``write`` the files.
"""

from iafsweep.report.write import write_png, write_report

__all__ = ["write_png", "write_report"]
