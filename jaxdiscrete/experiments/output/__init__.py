"""What runs leave behind and what people see: records, numbers, tables, figures."""
