"""How fast the losses are, how much memory they take and how exact they are, beside the limit and other libraries."""
