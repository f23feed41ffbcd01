"""The report of a sweep as one HTML page, made from the sweep folder alone, so that it can be made again at any time.

``findings`` reads the folder into one record, ``contents``, with the help of ``curves``, ``scored``, ``importance``,
``variance`` (figures), ``verdict`` and ``words`` (what can be trusted, the state of the sweep) and ``pictures``
(samples) · ``page`` puts it into an HTML file, drawn by ECharts, Tabulator and our own script (``assets``) ·
``private`` removes what identifies the machine · ``write`` the file, or one chart · ``serve`` the page while the sweep
runs.
"""

from iafsweep.report.write import CHARTS, Chart, changes, chart, write_report

__all__ = ["CHARTS", "Chart", "changes", "chart", "write_report"]
