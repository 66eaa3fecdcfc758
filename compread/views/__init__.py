"""What results look like: terminal tables, Markdown, JSON and CSV."""
