"""Server-rendered pages for analysts, customers and auditors. Room kept; the pages come later."""
