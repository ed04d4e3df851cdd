"""Everything that runs leave behind: folders, records, numbers, tables, figures."""
