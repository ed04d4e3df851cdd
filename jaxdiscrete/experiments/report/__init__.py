"""Published numbers beside measured ones, as one HTML page and as Markdown."""

from jaxdiscrete.experiments.report.render import readme_table, write_report

__all__ = ["readme_table", "write_report"]
