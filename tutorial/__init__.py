"""The sources of the tutorial: its pages are built from here, into the package. See README.md."""
