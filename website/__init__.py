"""The documentation as a site: what MkDocs is told beside the pages of docs/. `make docs` builds it."""
