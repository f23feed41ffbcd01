"""What a sweep has come to, as one page to look at: made from its folder alone, so that it can be made again any time.

``findings`` reads the folder into one record, ``contents``, with the help of ``curves``, ``scored``, ``importance``,
``variance`` (figures), ``verdict`` and ``words`` (what can be trusted, how the sweep stands) and ``pictures`` (samples)
· ``page`` puts it into an HTML file that ECharts, Tabulator and a script of ours draw (``assets``) · ``private`` leaves
out what tells of the machine · ``write`` the file, or one chart · ``serve`` the page while the sweep goes on.
"""

from iafsweep.report.write import CHARTS, Chart, changes, chart, write_report

__all__ = ["CHARTS", "Chart", "changes", "chart", "write_report"]
