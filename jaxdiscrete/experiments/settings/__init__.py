"""What settings are made of: fields, schedules, their ranges, tables of a file."""
